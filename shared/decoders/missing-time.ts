import type { DecodedColumns } from './decoded.ts'
import type { JsonReading } from './json-reading.ts'

/**
 * What is missing of a reading with values that was read, where the policy does not take it without a time; undefined
 * where it may be stored, with the note that the policy asks for.
 */
export function missingTime(reading: JsonReading, out: DecodedColumns): string | undefined {
  const { given, policy } = reading.time
  if (given || policy.time_absent === 'accept' || out.isPlaced) return undefined
  const detail = reading.doubt?.detail ?? 'the reading says no time'
  if (policy.time_absent === 'quarantine') return detail
  reading.doubt ??= { code: 'time_restamped', detail }
  return undefined
}
