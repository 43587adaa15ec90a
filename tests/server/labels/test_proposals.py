"""The readers' proposals become labels once people's answers to a random sample verify them."""

import pytest
from defuse.v1.audit_service_pb2 import REGION_STATE_UNLABELED
from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict
from defuse_server.labels.proposals import number_of

BUGS = 70
SEEDS_LABEL, OTHER = 2, 1
"""Of the published bugs: what their seeds show, and a class that nobody predicts."""
MIXED = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)


@pytest.fixture
async def audit(publish_audit):
    """An audit of many bugs, one region each, in which the readers see the seeds' label."""
    return await publish_audit(BUGS, limit=3, cells=[[n] for n in range(BUGS)], label_probability=0.95)


@pytest.fixture
def say(labels):
    """Lease every task that is left, and answer those of some bugs."""

    async def say(audit, annotator, answers):
        for task in await labels.lease(audit, annotator, 100, 60.0):
            number = int(task.region.rpartition("/")[2])
            if number not in answers:
                await labels.release(task.region, task.lease_token)
                continue
            said = answers[number]
            given = LabelAnswer(label=said) if isinstance(said, int) else said
            await labels.submit(task.region, task.lease_token, given, "")

    return say


@pytest.fixture
def verify(say, labeling):
    """Answer the bugs that the sample takes, all but `left`, with the seeds' label. Returns their numbers."""

    async def verify(audit, left=0):
        missing = (await labeling.proposals(audit)).verification.missing
        answered = missing[: len(missing) - left]
        await say(audit, "ada", dict.fromkeys(answered, SEEDS_LABEL))
        return answered

    return verify


async def test_no_proposal_is_used_before_the_last_answer_that_verifies_them(verify, labeling, audit):
    await verify(audit, left=1)
    report = await labeling.report(audit)
    assert (report.outlook.verified, report.outlook.proposal_count) == (False, 0)
    assert report.outlook.answers_to_verify == 1
    assert (await labeling.proposals(audit)).labels() == {}


async def test_the_bugs_that_nobody_answered_take_their_proposals(verify, labeling, bugs, audit):
    answered = await verify(audit)
    outlook = (await labeling.report(audit)).outlook
    assert outlook.verified
    assert outlook.population_count == BUGS
    assert (outlook.sample_count, outlook.wrong_count) == (len(answered), 0)
    assert outlook.labeled_bug_count == len(answered) < BUGS
    assert outlook.proposal_count == BUGS - len(answered)
    assert outlook.wrong_bound <= 0.03
    proposals = await labeling.proposals(audit)
    assert {number_of(bug) for bug in proposals.in_use.values()} == set(range(BUGS)) - set(answered)
    for name in proposals.in_use:
        assert (await bugs.get(name)).state == REGION_STATE_UNLABELED


async def test_people_can_still_answer_them(verify, say, labeling, bugs, audit):
    answered = await verify(audit)
    left = next(number for number in range(BUGS) if number not in answered)
    await say(audit, "ada", {left: SEEDS_LABEL})
    outlook = (await labeling.report(audit)).outlook
    assert outlook.labeled_bug_count == len(answered) + 1
    assert outlook.proposal_count == BUGS - len(answered) - 1


async def test_a_proposal_that_somebody_contradicts_is_no_longer_used(verify, say, labeling, audit):
    answered = await verify(audit)
    left = next(number for number in range(BUGS) if number not in answered)
    await say(audit, "ada", {left: OTHER})
    proposals = await labeling.proposals(audit)
    assert left not in {number_of(bug) for bug in proposals.in_use.values()}
    assert left not in proposals.labels()


@pytest.mark.parametrize("said", [OTHER, MIXED], ids=["another class", "mixed"])
async def test_a_contradiction_in_the_sample_takes_more_answers(verify, say, labeling, audit, said):
    sample = (await labeling.proposals(audit)).verification
    await say(audit, "ada", {sample.order[0]: said})
    outlook = (await labeling.report(audit)).outlook
    assert (outlook.sample_count, outlook.wrong_count) == (1, 1)
    await verify(audit)
    outlook = (await labeling.report(audit)).outlook
    assert outlook.verified
    assert outlook.sample_count > len(sample.missing)


async def test_a_doubt_that_is_taken_back_counts_no_more(say, labels, labeling, audit):
    order = (await labeling.proposals(audit)).verification.order
    await say(audit, "ada", {order[0]: OTHER})
    await labels.undo(f"{audit}/bugs/{order[0]}", "ada")
    outlook = (await labeling.report(audit)).outlook
    assert (outlook.sample_count, outlook.wrong_count) == (0, 0)


async def test_readers_that_doubt_themselves_are_not_in_the_population(publish_audit, labeling):
    audit = await publish_audit(30, cells=[[n] for n in range(30)], label_probability=0.89)
    outlook = (await labeling.report(audit)).outlook
    assert (outlook.population_count, outlook.verified) == (0, False)


async def test_an_audit_without_bugs_has_no_outlook(publish_audit, labeling):
    assert not (await labeling.report(await publish_audit(3))).HasField("outlook")


async def test_an_annotator_who_contradicts_the_readers_everywhere_verifies_nothing(say, labeling, audit):
    before = (await labeling.proposals(audit)).recalibration(0.95)
    everything = dict.fromkeys(range(BUGS), OTHER)
    await say(audit, "ada", everything)
    progress = await labeling.progress(audit)
    assert (progress.labeled_bug_count, progress.confirmed_bug_count) == (0, 0)
    # A doubt is no label yet, and the belief waits for one.
    assert (await labeling.proposals(audit)).recalibration(0.95) == before
    await say(audit, "ben", everything)
    assert (await labeling.progress(audit)).labeled_bug_count == BUGS
    proposals = await labeling.proposals(audit)
    assert proposals.recalibration(0.95) < 0.1
    assert proposals.verification.wrong == BUGS
    assert not proposals.verification.verified
    outlook = (await labeling.report(audit)).outlook
    assert outlook.verification.startswith(
        "No proposal of the search is used as a label: people contradicted 70 of the 70"
    )
