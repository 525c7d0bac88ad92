import { compressionOf, unpack } from '../decoders/compression.ts'
import type { DecodeContext, FindDefinitions, PayloadDecoder, UploadedDecoders } from '../decoders/payload-decoder.ts'
import { decodeText } from '../decoders/text-encoding.ts'
import { faultOfRecord, type Fault } from '../faults.ts'
import { LruMap } from '../lru.ts'
import { parseUploadedName } from '../policies/uploaded-names.ts'
import type { DecoderDefinition } from '../registry/decoders-port.ts'
import type { LogRecord } from '../telemetry.ts'
import { HUNG, MAX_FAILURES, type CodecJob } from './codec-calls.ts'
import { codecInput } from './codec-input.ts'
import type { CodecRunner } from './codec-runner.ts'
import { openProtobuf } from './protobuf.ts'

/** Definitions in memory, of some 400 KB at most. */
const MAX_KNOWN = 64

interface Known {
  readonly definition: DecoderDefinition
  /** Of Protocol Buffers; codecs run elsewhere. */
  readonly decoder: PayloadDecoder | undefined
}

/** The uploaded decoders in use, by the content that policies name. What codecs made of records is kept as long as those are. */
export class UploadedTable implements UploadedDecoders {
  readonly #runner: Pick<CodecRunner, 'run' | 'resume'>
  /** As policies name them. */
  readonly #paused = new Set<string>()
  readonly #known = new LruMap<string, Known>(MAX_KNOWN)
  readonly #made = new WeakMap<LogRecord, Uint8Array | Fault>()
  readonly #ofCodecs: PayloadDecoder = {
    read: (_payload, { record }) =>
      this.#made.get(record) ?? faultOfRecord('decoder_unknown', 'its codec was not run: it is not known here'),
  }

  constructor(runner: Pick<CodecRunner, 'run' | 'resume'>) {
    this.#runner = runner
  }

  /** Codecs that are not run any more, because they failed too often. */
  get paused(): number {
    return this.#paused.size
  }

  /** For the status of a process. */
  summary(): string | undefined {
    const [name] = this.#paused
    if (name === undefined) return undefined
    const others = this.paused === 1 ? '' : `, and ${this.paused - 1} others`
    return `codec_paused: ${name}${others} failed ${MAX_FAILURES} times in a row, and is not run until it is uploaded again`
  }

  /** Paused codecs are tried again. */
  resume(): void {
    this.#paused.clear()
    this.#runner.resume()
  }

  decoderOf(name: string): PayloadDecoder | undefined {
    const { id } = parseUploadedName(name) ?? {}
    const known = id === undefined ? undefined : this.#known.get(id)
    return known === undefined ? undefined : (known.decoder ?? this.#ofCodecs)
  }

  /**
   * Makes ready what these records, of policies that name uploaded decoders, are decoded by; codecs are run. Errors: those of
   * `find`, and `closed`.
   */
  async prepare(records: readonly DecodeContext[], find: FindDefinitions): Promise<void> {
    const ids = new Set(records.flatMap(({ policy }) => parseUploadedName(policy.decoder)?.id ?? []))
    const missing = [...ids].filter((id) => this.#known.get(id) === undefined)
    const found = missing.length === 0 ? new Map<string, DecoderDefinition>() : await find(missing)
    for (const [id, definition] of found) this.#known.set(id, await open(definition))
    await this.#runCodecs(records)
  }

  async #runCodecs(records: readonly DecodeContext[]): Promise<void> {
    const jobs: CodecJob[] = []
    const asked: DecodeContext[] = []
    const sources = new Map<string, string>()
    for (const one of records) {
      const { record, policy } = one
      const { id = '' } = parseUploadedName(policy.decoder) ?? {}
      const known = this.#known.get(id)
      if (known === undefined || known.decoder !== undefined || this.#made.has(record)) continue
      const payload = payloadOf(one)
      if (payload === undefined) continue
      sources.set(id, known.definition.content)
      const about = { ...one, topic: record.headers?.['topic'] ?? '', timeKeys: policy.time_keys }
      jobs.push({ id, input: codecInput(payload, known.definition.options, about), nowMs: record.ms })
      asked.push(one)
    }
    if (jobs.length === 0) return
    const answers = await this.#runner.run(jobs, sources)
    for (const [i, { record, policy }] of asked.entries()) {
      const answer = answers[i] ?? ''
      if (answer.startsWith('P') || answer === HUNG) this.#paused.add(policy.decoder)
      this.#made.set(record, resultOf(answer))
    }
  }
}

async function open(definition: DecoderDefinition): Promise<Known> {
  if (definition.kind === 'codec') return { definition, decoder: undefined }
  const decoder = await openProtobuf(definition)
  if (typeof decoder !== 'string') return { definition, decoder }
  // It was checked when it was uploaded, by another version.
  const fault = faultOfRecord('decoder_unknown', decoder)
  return { definition, decoder: { read: () => fault } }
}

/** What the decoder would get; undefined where that is not encoded as declared, or cannot be unpacked. */
function payloadOf({ record, policy }: DecodeContext): Uint8Array | undefined {
  const { encoding } = policy
  const payload = encoding === 'none' ? record.value : decodeText(record.value, encoding)
  if (!(payload instanceof Uint8Array)) return undefined
  const compression = compressionOf(payload, policy)
  if (compression === undefined || compression === 'deflate') return payload
  const unpacked = unpack(payload, compression)
  return unpacked instanceof Uint8Array ? unpacked : undefined
}

function resultOf(answer: string): Uint8Array | Fault {
  const text = answer.slice(1)
  if (answer.startsWith('D')) return Buffer.from(text)
  if (answer.startsWith('E')) return faultOfRecord('codec_failed', text)
  if (answer.startsWith('L')) return faultOfRecord('codec_limit', text)
  return faultOfRecord('codec_paused', `its codec failed ${MAX_FAILURES} times in a row`)
}
