import { readCbor } from './cbor.ts'
import type { PayloadDecoder } from './payload-decoder.ts'

/** The labels of SenML by the integers that stand for them in CBOR [RFC 8428, table 4]. */
const LABELS: ReadonlyMap<string, string> = new Map(
  'bver bn bt bu bv bs n u v vs vb s t ut vd'.split(' ').map((label, i) => [String(i < 6 ? -1 - i : i - 6), label]),
)
/** Major type 4 or a tag: no text in UTF-8 begins with it. */
const FIRST_ARRAY = 0x80
const LAST_TAG = 0xdb

/** A SenML pack in CBOR as one in JSON; one in JSON as it is. */
export const senmlCbor: PayloadDecoder = {
  read(payload) {
    const first = payload[0] ?? 0
    if (first < FIRST_ARRAY || first > LAST_TAG) return payload
    const nameOf = (label: number | bigint) => LABELS.get(String(label)) ?? String(label)
    // Data values are base64url in JSON [RFC 8428, 5].
    return readCbor(payload, 'base64url', { nameOf, keepsTimes: true })
  },
}
