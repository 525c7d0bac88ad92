import fc from 'fast-check'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import type { PayloadDecoder } from '../../../../shared/decoders/payload-decoder.ts'
import type { Fault } from '../../../../shared/faults.ts'
import type { PolicyDocument } from '../../../../shared/policies/document.ts'
import { REVISION_HEADER } from '../../../../shared/policies/revision.ts'
import type { PointValue } from '../../../../shared/telemetry.ts'

/** When the payloads of these tests are received. */
export const RECEIVED_MS = Date.UTC(2026, 0, 31, 12)

interface Outcome {
  readonly fields: Readonly<Record<string, PointValue | undefined>>
  readonly faults: readonly Fault[]
  readonly nulls: number
  /** Per point, in milliseconds since 1970. */
  readonly times: readonly number[]
}

/** What becomes of a payload by a policy. */
export async function decodeAs(
  policy: PolicyDocument,
  value: Uint8Array | string,
  uploaded: Readonly<Record<string, PayloadDecoder>> = {},
): Promise<Outcome> {
  const table = new SeriesTable({ uploaded: { decoderOf: (name) => uploaded[name] } })
  const headers = { [REVISION_HEADER]: 'a.' }
  const record = { key: 'demo/one', value: Buffer.from(value), ms: RECEIVED_MS, ns: 0, scheme: 1, headers } as const
  await table.policies.learn([record], async () => new Map([['a', policy]]))
  const { points, faults, nulls } = decodeRecords([record], table)
  return {
    fields: Object.fromEntries(points.series.map(({ field }, i) => [field, points.values[i]])),
    faults: faults.get(0)?.first ?? [],
    nulls,
    times: points.ms,
  }
}

/** JSON with integers beyond 2^53 as bigint. */
export function exactJson(json: string): unknown {
  return JSON.parse(json, (_key, value: unknown, context?: { readonly source?: string }) => {
    const source = context?.source ?? ''
    return typeof value === 'number' && /^-?\d+$/.test(source) && !Number.isSafeInteger(value) ? BigInt(source) : value
  })
}

const leaf = fc.oneof(
  // Not every implementation writes -0 as one.
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => one + 0),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).filter((one) => !Number.isSafeInteger(Number(one))),
  fc.string({ unit: 'grapheme' }),
  fc.boolean(),
  fc.constant(null),
)

/** Values as formats of binary JSON have them: integers that no double holds as bigint. */
export const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value'), { maxKeys: 5 }),
  ),
}))
