import { expect, it } from 'vitest'
import { deadLetterToRecord, type DeadLetter } from '../../../shared/dead-letter.ts'
import { openApi } from './api.ts'

const START = 1_767_225_600_000

function letter(n: number, device = 'first'): DeadLetter {
  const owner = `demo/${device}`
  const at = { ms: START + n, ns: 5, attempts: 1, source: { partition: 0, offset: n }, firstFailedMs: START + 10 + n }
  const from = { who: owner, key: owner, topic: `t/${owner}/telemetry`, payload: Buffer.from(`{${n}`) }
  return { stage: 'decode', code: 'value_unsupported', detail: `number ${n}`, ...from, ...at }
}

it('are those of a device, of a code and of a span', async () => {
  const { call, log, registry } = await openApi()
  await registry.createDevices([{ tenant: 'demo', device: 'first' }])
  const letters = [letter(1), letter(2, 'other'), letter(3), letter(4)]
  await log.append('telemetry.dead-letter', letters.map(deadLetterToRecord))
  const found = async (query: string) => {
    const { body } = await call('GET', `/v1/dead-letters?${query}`)
    return (body['deadLetters'] as { detail: string }[]).map(({ detail }) => detail)
  }
  expect(await found('device=first')).toEqual(['number 4', 'number 3', 'number 1'])
  const span = `from=${START + 12}&to=${new Date(START + 14).toISOString()}`
  expect(await found(span)).toEqual(['number 3', 'number 2'])
  expect(await found(`tenant=demo&device=other&code=value_unsupported&${span}`)).toEqual(['number 2'])
  expect(await found('code=time_invalid')).toEqual([])
  for (const query of ['code=nonsense', 'from=2&to=1', 'from=1767225600']) {
    const { status, body } = await call('GET', `/v1/dead-letters?${query}`)
    expect([query, status, body['code']]).toEqual([query, 400, 'bad_request'])
  }
})
