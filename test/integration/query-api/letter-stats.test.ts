import { expect, it } from 'vitest'
import { deadLetterToRecord, type DeadLetter } from '../../../shared/dead-letter.ts'
import { Faults, type Fault } from '../../../shared/faults.ts'
import { AHEAD, job, NOW, open, send, settled } from './letter-jobs.ts'

const fault = (code: Fault['code'], element: number): Fault => ({ element, path: 'v', code, detail: '' })

/** As of a worker; the same offset again is a repeat. */
function letter(offset: number, device: string, faults: readonly Fault[]): DeadLetter {
  const key = `demo/${device}`
  const [first] = faults
  return {
    ...{ stage: 'decode', code: first?.code ?? 'internal', detail: '', faults: Faults.of(faults), who: key },
    ...{ topic: `t/${key}/telemetry`, key, payload: Buffer.from('{}'), ms: NOW, ns: offset },
    ...{ log: 'one', source: { partition: 0, offset }, firstFailedMs: NOW + offset, attempts: 1 },
  }
}

it('counts each letter once, by cause, device and what was done about it', async () => {
  const real = await open()
  const empty = (await real.call('GET', '/v1/dead-letters/stats')).body
  expect(empty).toMatchObject({ letters: 0, codes: [], who: [], first: null, last: null, complete: true })
  const two = [fault('value_unsupported', 0), fault('value_unsupported', 1), fault('time_invalid', 2)]
  const letters = [
    letter(1, 'b', two),
    letter(2, 'c', [fault('time_invalid', 0)]),
    letter(1, 'b', two),
    letter(3, 'b', [fault('time_invalid', 0)]),
  ]
  await real.log.append('telemetry.dead-letter', letters.map(deadLetterToRecord))
  await send(real, { ts: AHEAD, v: 1 })
  await settled(real)
  await job(real, 'discard', { device: 'c' })
  // Over HTTP: there a request has been read long before it is answered.
  const headers = { authorization: `Bearer ${real.token}` }
  const stats = async (query: string) => (await fetch(`${real.url}/v1/dead-letters/stats?${query}`, { headers })).json()
  expect(await stats('')).toMatchObject({
    letters: 4,
    codes: [
      { code: 'time_invalid', letters: 3, faults: 3 },
      { code: 'time_ahead', letters: 1, faults: 1 },
      { code: 'value_unsupported', letters: 1, faults: 2 },
    ],
    who: [
      { who: 'demo/b', letters: 2 },
      { who: 'demo/a', letters: 1 },
      { who: 'demo/c', letters: 1 },
    ],
    states: { open: 3, replayed: 0, faulty: 0, discarded: 1 },
    complete: true,
  })
  const span = `code=time_invalid&from=${NOW + 2}&to=${NOW + 4}`
  const [first, last] = [2, 3].map((n) => new Date(NOW + n).toISOString())
  expect(await stats(span)).toMatchObject({ letters: 2, first, last })
  expect((await real.call('GET', '/v1/dead-letters/stats?code=nonsense')).status).toBe(400)
})
