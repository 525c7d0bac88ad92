import { expect, it } from 'vitest'
import { horizonOf } from '../../../../../shared/log/kafka/horizon.ts'

const HOUR = 3600
const ageMs = 10 * HOUR * 1000

it.each([
  { name: 'no bound', retention: {}, backlog: { seconds: HOUR, bytes: 100 }, expected: undefined },
  {
    name: 'an age',
    retention: { ageMs },
    backlog: { seconds: 4 * HOUR, bytes: undefined },
    expected: { seconds: 6 * HOUR, used: 0.4 },
  },
  {
    name: 'an age that is over',
    retention: { ageMs },
    backlog: { seconds: 12 * HOUR, bytes: undefined },
    expected: { seconds: 0, used: 1.2 },
  },
  {
    name: 'bytes that fill at the rate of what waits',
    retention: { bytes: 1000 },
    backlog: { seconds: 2 * HOUR, bytes: 500 },
    expected: { seconds: 2 * HOUR, used: 0.5 },
  },
  {
    name: 'bytes of unknown size',
    retention: { bytes: 1000 },
    backlog: { seconds: 2 * HOUR, bytes: undefined },
    expected: undefined,
  },
  {
    name: 'the nearer of both',
    retention: { ageMs, bytes: 1000 },
    backlog: { seconds: 2 * HOUR, bytes: 500 },
    expected: { seconds: 2 * HOUR, used: 0.5 },
  },
])('the horizon of retention by $name', ({ retention, backlog, expected }) => {
  expect(horizonOf(retention, backlog)).toEqual(expected)
})
