"""All that a client does, sync or async."""

from __future__ import annotations

from defuse import _audits, _corrections, _jobs, _label_files, _labels, _registry, _transfer, _vae_trainings
from defuse._operation import Operation, StreamOperation


class Operations:
    """The methods that both clients have; each is documented where it is written."""

    upload = Operation(_transfer.upload)
    download = Operation(_transfer.download)
    get_artifact = Operation(_transfer.get_artifact)

    push_classifier = Operation(_registry.push_classifier)
    push_vae = Operation(_registry.push_vae)
    push_dataset = Operation(_registry.push_dataset)
    get_classifier = Operation(_registry.get_classifier)
    get_vae = Operation(_registry.get_vae)
    get_dataset = Operation(_registry.get_dataset)
    list_classifiers = StreamOperation(_registry.list_classifiers)
    list_vaes = StreamOperation(_registry.list_vaes)
    list_datasets = StreamOperation(_registry.list_datasets)
    delete_classifier = Operation(_registry.delete_classifier)
    delete_vae = Operation(_registry.delete_vae)
    delete_dataset = Operation(_registry.delete_dataset)

    train_vae = Operation(_vae_trainings.train_vae)
    get_vae_training = Operation(_vae_trainings.get_vae_training)
    list_vae_trainings = StreamOperation(_vae_trainings.list_vae_trainings)

    start_audit = Operation(_audits.start_audit)
    get_audit = Operation(_audits.get_audit)
    list_audits = StreamOperation(_audits.list_audits)
    delete_audit = Operation(_audits.delete_audit)
    misclassifications = StreamOperation(_audits.misclassifications)
    misclassification_batches = StreamOperation(_audits.misclassification_batches)
    regions = StreamOperation(_audits.regions)
    get_region = Operation(_audits.get_region)
    get_region_split = Operation(_audits.get_region_split)
    list_regions = StreamOperation(_audits.list_regions)

    watch = StreamOperation(_jobs.watch)
    wait = Operation(_jobs.wait)
    cancel = Operation(_jobs.cancel)

    lease_tasks = Operation(_labels.lease_tasks)
    extend_lease = Operation(_labels.extend_lease)
    submit_label = Operation(_labels.submit_label)
    undo_label = Operation(_labels.undo_label)
    release_task = Operation(_labels.release_task)
    skip_task = Operation(_labels.skip_task)
    list_tasks = StreamOperation(_labels.list_tasks)
    get_labeling_progress = Operation(_labels.get_labeling_progress)
    get_labeling_report = Operation(_labels.get_labeling_report)
    export_label_tasks = Operation(_label_files.export_label_tasks)
    import_labels = Operation(_label_files.import_labels)

    correct = Operation(_corrections.correct)
    get_correction = Operation(_corrections.get_correction)
    list_corrections = StreamOperation(_corrections.list_corrections)

    evaluate = Operation(_corrections.evaluate)
    get_evaluation = Operation(_corrections.get_evaluation)
    list_evaluations = StreamOperation(_corrections.list_evaluations)
