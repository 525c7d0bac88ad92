import { expect, it } from 'vitest'
import { UsefulTime } from '../../../../services/ingest-worker/useful-time.ts'

function open() {
  const clock = { ms: 0 }
  const counted = { seconds: 0 }
  const useful = new UsefulTime({ inc: (value = 0) => void (counted.seconds += Number(value)) }, () => clock.ms)
  return { useful, clock, counted }
}

it('counts decoding and storing, and nothing between them', async () => {
  const { useful, clock, counted } = open()
  useful.decoded(0.5)
  clock.ms += 60_000
  await useful.storing(async () => void (clock.ms += 2_000))
  expect(counted.seconds).toBe(2.5)
})

it('decoding beside a write is no time of its own', async () => {
  const { useful, clock, counted } = open()
  await useful.storing(async () => {
    clock.ms += 1_000
    useful.decoded(0.4)
    clock.ms += 1_000
  })
  expect(counted.seconds).toBe(2)
})

it('what failed and was waited for does not count, and never makes it less', async () => {
  const { useful, clock, counted } = open()
  await useful.storing(async () => {
    clock.ms += 30_000
    useful.failed(29_000)
  })
  expect(counted.seconds).toBe(1)
  await useful.storing(async () => {
    clock.ms += 10_000
    useful.failed(10_000)
    useful.failed(10_000)
  })
  expect(counted.seconds).toBe(1)
})

it('a write that is given up is counted too, and decoding counts again behind it', async () => {
  const { useful, clock, counted } = open()
  const given = useful.storing(async () => {
    clock.ms += 1_000
    throw new Error('closed')
  })
  await expect(given).rejects.toThrow('closed')
  useful.decoded(1)
  expect(counted.seconds).toBe(2)
})
