import { cbor } from './cbor.ts'
import { csv } from './csv-rows.ts'
import type { DecodedColumns } from './decoded.ts'
import { compressionOf, unpack } from './compression.ts'
import { faultOfRecord, type Fault } from '../faults.ts'
import type { Form, JsonDecoder } from './json.ts'
import type { DecoderName } from './decoder-names.ts'
import { messagePack } from './message-pack.ts'
import type { PayloadDecoder, UploadedDecoders } from './payload-decoder.ts'
import { isNoText } from './text-payload.ts'
import { senmlCbor } from './senml-cbor.ts'
import { sparkplugB } from './sparkplug.ts'
import type { StreamSeries } from './series.ts'
import { decodeText } from './text-encoding.ts'
import type { LogRecord } from '../telemetry.ts'

/** What the payload is read as, once `decoder` has made JSON of other bytes. */
interface Way {
  readonly form: Form
  readonly decoder?: PayloadDecoder
}

/** The decoders that a policy may name. */
const BUILT_IN: Readonly<Record<DecoderName, Way>> = {
  auto: { form: 'auto' },
  json: { form: 'json' },
  senml: { form: 'senml', decoder: senmlCbor },
  line_protocol: { form: 'line_protocol' },
  plain: { form: 'plain' },
  cbor: { form: 'json', decoder: cbor },
  messagepack: { form: 'json', decoder: messagePack },
  csv: { form: 'json', decoder: csv },
  sparkplug_b: { form: 'json', decoder: sparkplugB },
}

const NONE_UPLOADED: UploadedDecoders = { decoderOf: () => undefined }

/** Decodes payloads whose format a policy names. What that decoder does not read is a fault: nothing else is tried. */
export class DeclaredDecoder {
  readonly #json: JsonDecoder
  readonly #uploaded: UploadedDecoders

  constructor(json: JsonDecoder, uploaded = NONE_UPLOADED) {
    this.#json = json
    this.#uploaded = uploaded
  }

  /** Appends to `out` what the payload of `record` holds, by the policy of the JSON decoder. Never throws for bad input. */
  decode(record: LogRecord, index: number, series: StreamSeries, out: DecodedColumns): void {
    const failure = this.#read(record, index, series, out)
    if (failure !== undefined) out.refuse(index, failure)
  }

  #read(record: LogRecord, index: number, series: StreamSeries, out: DecodedColumns): Fault | undefined {
    const { policy } = this.#json
    const name = policy.decoder
    const way = isBuiltIn(name) ? BUILT_IN[name] : this.#wayOf(name)
    if (way === undefined) return faultOfRecord('decoder_unknown', `the decoder ${name} was not uploaded`)
    const read = (payload: Uint8Array): Fault | undefined => {
      const text = way.decoder?.read(payload, { record, stream: series.stream, policy }) ?? payload
      return text instanceof Uint8Array ? this.#readAs(way.form, text, record, index, series, out) : text
    }
    const { encoding } = policy
    const payload = encoding === 'none' ? record.value : decodeText(record.value, encoding)
    if (!(payload instanceof Uint8Array)) return payload
    const compression = compressionOf(payload, policy)
    // Any payload may begin as one of deflate does.
    const isTried = compression === undefined || compression === 'deflate'
    const failure = isTried ? asDeclared(read(payload), name) : undefined
    if (compression === undefined || (isTried && (failure === undefined || !isOther(failure)))) return failure
    const unpacked = unpack(payload, compression)
    if (unpacked instanceof Uint8Array) return asDeclared(read(unpacked), name)
    return failure ?? unpacked
  }

  #wayOf(name: string): Way | undefined {
    const decoder = this.#uploaded.decoderOf(name)
    return decoder === undefined ? undefined : { form: 'json', decoder }
  }

  #readAs(
    form: Form,
    payload: Uint8Array,
    record: LogRecord,
    index: number,
    series: StreamSeries,
    out: DecodedColumns,
  ): Fault | undefined {
    // A value is one as JSON writes it, or else a text.
    const isPerhapsValue = form === 'plain' && !isNoText(payload)
    const failure = this.#json.read(isPerhapsValue ? 'json' : form, payload, record, index, series, out)
    if (!isPerhapsValue || failure?.code !== 'payload_not_json') return failure
    return this.#json.read(form, payload, record, index, series, out)
  }
}

function isBuiltIn(name: string): name is keyof typeof BUILT_IN {
  return Object.hasOwn(BUILT_IN, name)
}

/** The payload may be of another format. */
function isOther({ code }: Fault): boolean {
  return code === 'payload_not_json' || code === 'payload_not_utf8' || code === 'payload_not_as_declared'
}

/** Whatever the payload is instead, it is not what was declared. */
function asDeclared(failure: Fault | undefined, name: string): Fault | undefined {
  if (failure === undefined || name === 'auto' || !isOther(failure)) return failure
  return faultOfRecord('payload_not_as_declared', `${name} expected: ${failure.detail}`)
}
