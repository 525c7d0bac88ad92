import type { DecodedColumns } from './decoded.ts'
import { compressionOf, unpack } from './compression.ts'
import { faultOfRecord, type Fault } from '../faults.ts'
import type { Form, JsonDecoder } from './json.ts'
import type { DecoderName } from './decoder-names.ts'
import type { PayloadDecoder, UploadedDecoders } from './payload-decoder.ts'
import { isNoText } from './text-payload.ts'
import type { StreamSeries } from './series.ts'
import type { LogRecord } from '../telemetry.ts'

/** The decoders that a policy may name: what JSON, or a text, is read as; or what makes JSON of other bytes. */
const BUILT_IN: Readonly<Record<Exclude<DecoderName, 'auto'>, Form | PayloadDecoder>> = {
  json: 'json',
  senml: 'senml',
  line_protocol: 'line_protocol',
  plain: 'plain',
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
    const decoder = isBuiltIn(name) ? BUILT_IN[name] : this.#uploaded.decoderOf(name)
    if (decoder === undefined) return faultOfRecord('decoder_unknown', `the decoder ${name} was not uploaded`)
    const read = (payload: Uint8Array): Fault | undefined => {
      if (typeof decoder === 'string') {
        // A value is one as JSON writes it, or else a text.
        const isPerhapsValue = decoder === 'plain' && !isNoText(payload)
        const failure = this.#json.read(isPerhapsValue ? 'json' : decoder, payload, record, index, series, out)
        if (!isPerhapsValue || failure?.code !== 'payload_not_json') return failure
        return this.#json.read(decoder, payload, record, index, series, out)
      }
      const text = decoder.read(payload, { record, stream: series.stream, policy })
      return text instanceof Uint8Array ? this.#json.read('json', text, record, index, series, out) : text
    }
    const compression = compressionOf(record.value, policy)
    // Any payload may begin as one of deflate does.
    const failure =
      compression === undefined || compression === 'deflate' ? asDeclared(read(record.value), name) : undefined
    if (compression === undefined || (compression === 'deflate' && failure?.code !== 'payload_not_as_declared'))
      return failure
    const unpacked = unpack(record.value, compression)
    if (unpacked instanceof Uint8Array) return asDeclared(read(unpacked), name)
    return failure ?? unpacked
  }
}

function isBuiltIn(name: string): name is keyof typeof BUILT_IN {
  return Object.hasOwn(BUILT_IN, name)
}

/** Whatever the payload is instead, it is not what was declared. */
function asDeclared(failure: Fault | undefined, name: string): Fault | undefined {
  if (failure === undefined) return undefined
  const isOther = ['payload_not_json', 'payload_not_utf8', 'payload_not_as_declared'].includes(failure.code)
  return isOther ? faultOfRecord('payload_not_as_declared', `${name} expected: ${failure.detail}`) : failure
}
