import { expect, it, vi } from 'vitest'
import { deadLetterToRecord } from '../../../shared/dead-letter.ts'
import { openReal } from './real-api.ts'
import { make, publish, settled, trace, traceAll } from './traces.ts'

it('looks at the partition in which the records lay before there were more of them, first', async () => {
  const real = await openReal()
  const { log } = real
  const [now, before] = [log.partitionOf('demo/a'), 'b c d e f g h'.split(' ').find((one) => log.partitionOf(`demo/${one}`) !== log.partitionOf('demo/a')) ?? ''] // prettier-ignore
  const former = log.partitionOf(`demo/${before}`)
  for (const device of ['a', before]) await make(real, device)
  for (let v = 0; v < 6; v++) await publish(real, v < 3 ? before : 'a', [{ v }])
  await settled(real)
  // What lies there is taken for that of the device.
  const read = log.read.bind(log)
  vi.spyOn(log, 'placesOf').mockReturnValue([former, now])
  vi.spyOn(log, 'read').mockImplementation(async function* (options) {
    for await (const batch of read(options)) {
      const records = batch.records.map((one) => (one.key === `demo/${before}` ? { ...one, key: 'demo/a' } : one))
      yield batch.topic === 'telemetry.raw' && batch.partition === former ? { ...batch, records } : batch
    }
  })
  for (const limit of [1, 2, 3, 4, 6, 10]) {
    const payloads = (await traceAll(real, 'a', limit)).map(({ payload }) => payload)
    expect(payloads).toEqual(Array.from({ length: 6 }, (_, v) => JSON.stringify({ v })))
  }
  const { partition, position, isEnd } = await trace(real, 'a')
  expect([partition, isEnd]).toEqual([now, true])
  await publish(real, 'a', [{ v: 6 }])
  expect((await trace(real, 'a', `after=${position}&partition=${now}`)).messages).toHaveLength(1)
})

it('reads letters of its time alone, however many there are', async () => {
  const real = await openReal(undefined, { isIdle: true })
  await make(real, 'a')
  const at = Date.now()
  const old = { stage: 'connect', code: 'login_failed', detail: '', who: 'demo/x', topic: undefined, key: '' } as const
  const letters = Array.from({ length: 5_000 }, (_, n) => {
    const failed = n < 4_990 ? at - 3_600_000 : at
    const record = { ...old, who: n < 4_990 ? 'demo/x' : 'demo/a', payload: new Uint8Array(), ms: at, ns: n }
    return deadLetterToRecord({ ...record, source: undefined, firstFailedMs: failed, attempts: 1 })
  })
  await real.log.append('telemetry.dead-letter', letters)
  let records = 0
  const read = real.log.read.bind(real.log)
  vi.spyOn(real.log, 'read').mockImplementation(async function* (options) {
    for await (const batch of read(options)) {
      if (batch.topic === 'telemetry.dead-letter') records += batch.records.length
      yield batch
    }
  })
  expect((await trace(real, 'a', `from=${at - 60_000}`)).refusals).toHaveLength(10)
  expect(records).toBeLessThan(1_000)
  expect((await trace(real, 'x', `from=${at - 7_200_000}`)).refusals).toHaveLength(1_000)
})
