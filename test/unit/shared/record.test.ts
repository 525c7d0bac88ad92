import { expect, it } from 'vitest'
import { headersOf, HeaderSet } from '../../../shared/record.ts'

const TOPIC = 't/acme/p1/telemetry'
const DEFAULT = { tenant: 'acme', device: 'p1', stream: 'telemetry' }

it.each([
  ['the default stream of a device', DEFAULT, 'p1', undefined, undefined, undefined],
  ['another stream', { ...DEFAULT, stream: 'm' }, 'p1', undefined, undefined, { topic: TOPIC }],
  ['a device with another uid', DEFAULT, 'u7', undefined, undefined, { topic: TOPIC }],
  ['policies', DEFAULT, 'p1', 'r1', undefined, { rv: 'r1' }],
  ['an application', DEFAULT, 'p1', undefined, 'gw', { login: 'gw' }],
  ['all of it', { ...DEFAULT, stream: 'm' }, 'p1', 'r1', 'gw', { topic: TOPIC, rv: 'r1', login: 'gw' }],
] as const)('says what the key does not: %s', (_what, names, uid, rv, login, headers) => {
  expect(headersOf(names, uid, TOPIC, { revisionOf: () => rv }, login)).toEqual(headers)
})

it('says how a message came, and nothing of the usual way', () => {
  const set = new HeaderSet({ topic: TOPIC })
  expect(set.of(1, false, false)).toBe(set.usual)
  expect(set.of(0, false, false)).toEqual({ topic: TOPIC, qos: '0' })
  expect(set.of(2, true, true)).toEqual({ topic: TOPIC, qos: '2', dup: '1', retain: '1' })
  expect(set.of(1, true, false)).toEqual({ topic: TOPIC, dup: '1' })
  expect(new HeaderSet(undefined).of(1, false, true)).toEqual({ retain: '1' })
})

it('makes the headers of one way once', () => {
  const set = new HeaderSet(undefined)
  const ways = [0, 1, 2].flatMap((qos) => [0, 1, 2, 3].map((flags) => set.of(qos, flags > 1, flags % 2 === 1)))
  const again = [0, 1, 2].flatMap((qos) => [0, 1, 2, 3].map((flags) => set.of(qos, flags > 1, flags % 2 === 1)))
  expect(new Set(ways).size).toBe(12)
  for (const [i, headers] of again.entries()) expect(headers).toBe(ways[i])
})
