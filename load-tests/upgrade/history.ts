/** What the devices of a fixture send, the same in every run but for the times of readings that carry none. */

export const TENANTS = ['north', 'south'] as const
/** Two differ in case alone. */
export const DEVICES = ['pump-1', 'pump-2', 'Pump-1'] as const

const MINUTE = 60_000
const BEGIN = Date.UTC(2023, 10, 20)
/** One message has so many readings at most. */
const READINGS = 200

/**
 * Messages with readings of each kind under times from November 2023 on, `every` minutes apart: three months with the
 * `minutes` of {@link SMALL}.
 */
export function* history({ readings, minutes }: { readings: number; minutes: number }): Generator<string> {
  for (let from = 0; from < readings; from += READINGS) {
    const indexes = Array.from({ length: Math.min(READINGS, readings - from) }, (_, i) => from + i)
    yield JSON.stringify(indexes.map((i) => ({ ts: BEGIN + i * minutes * MINUTE, ...readingOf(i) })))
  }
}

/** A fixture for git. */
export const SMALL = { readings: 200, minutes: 600 }

/** 41,700 readings of 4 values for 6 devices: a million points. */
export const MILLION = { readings: 41_700, minutes: 3 }

function readingOf(i: number): object {
  const temperature = Math.round(200 + 50 * Math.sin(i / 20)) / 10
  return {
    temperature,
    running: i % 7 !== 0,
    state: i % 11 === 0 ? 'idle' : 'läuft',
    motor: { speed: 1500 + (i % 13) },
  }
}

/** Messages to streams by name: nanoseconds, whole numbers, overwritten values, names with blanks and umlauts. */
export const STREAMS: readonly { readonly stream: string; readonly payload: string }[] = [
  {
    stream: 'power',
    payload: '[{"ts":1700000000123456789,"watts":740.5,"on":true},{"ts":1700000000123456790,"watts":-0}]',
  },
  { stream: 'power', payload: '{"ts":1700000060000,"watts":1}' },
  { stream: 'power', payload: '{"ts":1700000060000,"watts":2}' },
  { stream: 'power', payload: '{"ts":1700000120000,"watts":9007199254740992,"größe":1e-300,"a b":1e300}' },
  // A conflict of types where a field has one.
  { stream: 'power', payload: '{"ts":1700000180000,"watts":"none"}' },
  { stream: 'texts_2', payload: '{"ts":"2024-02-29T23:59:59.999999999Z","text":"ä 😀 \\u0000","leer":""}' },
]

/** Readings that carry no time: alone, and several in a message. */
export const WITHOUT_TIME = ['{"level":1}', '[{"level":2},{"level":3,"note":"x"},{"level":4}]', '{"level":5,"ts":null}']

/** Messages of which nothing, or not all, can be stored, in any version. */
export const REFUSED = [
  'no JSON',
  '{"ts":"yesterday","temperature":1}',
  '{"ts":1700000000000,"list":[1,2]}',
  '[{"ts":1700000180000,"kept":1},{"ts":"2026-01-31T12:00:00","kept":2}]',
  '{"ts":5,"temperature":1}',
]

/** A message of the unread tail. */
export const tailReading = (n: number): string => `{"ts":${Date.UTC(2024, 4, 1) + n * 1000},"n":${n},"double":${2 * n}}`
