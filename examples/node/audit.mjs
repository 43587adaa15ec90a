// Audits a classifier: node audit.mjs [--address HOST:PORT] [--max-seeds N] [--proto FOLDER] FOLDER
//
// FOLDER holds classifier.onnx, encoder.onnx, decoder.onnx and dataset.npz. The script prints one line of JSON. It
// reads the token from DEFUSE_TOKEN. It needs nothing of Defuse but the .proto files.
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import grpc from '@grpc/grpc-js'
import protoLoader from '@grpc/proto-loader'

const CHUNK_BYTES = 64 * 1024
const CALL_TIMEOUT_MS = 30_000
const RETRY_DELAY_MS = 500
const MOST_RETRIES = 60

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    address: { type: 'string', default: process.env.DEFUSE_ADDRESS ?? '127.0.0.1:50151' },
    'max-seeds': { type: 'string', default: '0' },
    proto: { type: 'string', default: fileURLToPath(new URL('../../proto', import.meta.url)) },
  },
})
if (positionals.length !== 1) {
  console.error('usage: node audit.mjs [--address HOST:PORT] [--max-seeds N] [--proto FOLDER] FOLDER')
  process.exit(64)
}
const folder = positionals[0]

const services = ['artifact', 'registry', 'audit'].map((name) => `defuse/v1/${name}_service.proto`)
const definition = protoLoader.loadSync(services, {
  includeDirs: [options.proto],
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
})
const { ArtifactService, RegistryService, AuditService } = grpc.loadPackageDefinition(definition).defuse.v1
const connect = (Service) => new Service(options.address, grpc.credentials.createInsecure())
const artifacts = connect(ArtifactService)
const registry = connect(RegistryService)
const audits = connect(AuditService)

const metadata = new grpc.Metadata()
if (process.env.DEFUSE_TOKEN) metadata.set('authorization', `Bearer ${process.env.DEFUSE_TOKEN}`)

/** Repeats `attempt` while the server is UNAVAILABLE. `attempt` calls its argument whenever it makes progress. */
async function retried(attempt) {
  let retries = 0
  for (;;) {
    try {
      return await attempt(() => { retries = 0 })
    } catch (error) {
      if (error.code !== grpc.status.UNAVAILABLE || (retries += 1) > MOST_RETRIES) throw error
      await sleep(RETRY_DELAY_MS)
    }
  }
}

/** Calls a unary method. */
function call(client, method, request) {
  return retried(() => new Promise((resolve, reject) => {
    const deadline = Date.now() + CALL_TIMEOUT_MS
    client[method](request, metadata, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)))
  }))
}

async function digestOf(file) {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk)
  return hash.digest('hex')
}

/** Returns how many bytes of an upload are stored; 0 if the server has not seen it. */
async function committedBytes(name) {
  try {
    return (await call(artifacts, 'GetUpload', { name })).committed_bytes
  } catch (error) {
    if (error.code === grpc.status.NOT_FOUND) return 0
    throw error
  }
}

/** Uploads a file and returns the artifact's name. A broken upload resumes where it stopped. */
async function upload(fileName) {
  const file = path.join(folder, fileName)
  const { size } = await stat(file)
  const header = { upload: `uploads/${randomUUID()}`, sha256: await digestOf(file), size_bytes: size }
  return retried(async () => {
    const offset = await committedBytes(header.upload)
    const over = new AbortController()
    return new Promise((resolve, reject) => {
      const stream = artifacts.Upload(metadata, (error, artifact) => {
        over.abort()
        return error ? reject(error) : resolve(artifact.name)
      })
      send(stream, { ...header, offset }, file, over.signal).catch(reject)
    })
  })
}

async function send(stream, header, file, over) {
  stream.write({ header })
  for await (const data of createReadStream(file, { start: header.offset, highWaterMark: CHUNK_BYTES })) {
    if (over.aborted) return
    // Without this wait, the whole file would pile up in memory.
    if (!stream.write({ data })) await once(stream, 'drain', { signal: over }).catch(() => {})
  }
  stream.end()
}

/** Registers a resource and waits for its inspection. */
async function register(kind, request) {
  let made = await call(registry, `Register${kind}`, { request_id: randomUUID(), ...request })
  await readAll(registry, `Watch${kind}`, made.name, (message) => {
    made = message[kind.toLowerCase()]
  })
  if (made.state !== 'REGISTRATION_STATE_READY') throw new Error(`${made.name}: ${made.failure.message}`)
  return made.name
}

/** Reads a stream to its end. If it breaks, resumes from the last cursor. */
function readAll(service, method, name, onMessage) {
  let cursor = ''
  return retried(async (progressed) => {
    for await (const message of service[method]({ name, cursor }, metadata)) {
      progressed()
      cursor = message.cursor
      onMessage(message)
    }
  })
}

async function main() {
  const classifier = await register('Classifier', { artifact: await upload('classifier.onnx') })
  const vae = await register('Vae', {
    encoder_artifact: await upload('encoder.onnx'),
    decoder_artifact: await upload('decoder.onnx'),
  })
  const dataset = await register('Dataset', { artifact: await upload('dataset.npz') })
  const config = { max_seeds: Number(options['max-seeds']) }
  const request = { request_id: randomUUID(), classifier, vae, dataset, config }
  const { name } = await call(audits, 'CreateAudit', request)

  let misclassifications = 0
  const regions = []
  await Promise.all([
    readAll(audits, 'StreamMisclassifications', name, (message) => {
      misclassifications += message.misclassifications.length
    }),
    readAll(audits, 'StreamRegions', name, (message) => {
      regions.push(...message.regions)
    }),
  ])
  const audit = await call(audits, 'GetAudit', { name })
  console.log(JSON.stringify({
    audit: name,
    state: audit.state,
    failure: audit.failure?.message ?? null,
    misclassifications,
    regions: regions.map((region) => ({
      name: region.name,
      seed_label: region.seed_label,
      predicted_class: region.predicted_class,
      misclassification_rate: region.misclassification_rate.value,
    })),
  }))
  return audit.state === 'JOB_STATE_SUCCEEDED' ? 0 : 70
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`audit failed: ${error.details ?? error.message}`)
  process.exitCode = error.code === grpc.status.UNAVAILABLE ? 69 : 70
} finally {
  for (const client of [artifacts, registry, audits]) client.close()
}
