import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { lasting } from '../../long.ts'
import { PATIENCE } from '../../patience.ts'
import { byName } from '../../variants/named-registry.ts'
import { histories, Model, type Step } from './identity-model.ts'
import { openReal } from './real-api.ts'

const RUNS = lasting({ gate: 25, long: 1_000 })

type Call = Awaited<ReturnType<typeof openReal>>['call']
type Answer = Awaited<ReturnType<Call>>

function perform(call: Call, tenant: string, step: Step, value: number): Promise<Answer> {
  const path = `/v1/devices/${tenant}/${step.device}`
  switch (step.kind) {
    case 'publish':
      return call('POST', `${path}/readings`, { payload: `{"ts":${1_767_225_600_000 + value},"v":${value}}` })
    case 'remove':
      return call('DELETE', path)
    case 'rename':
      return call('POST', `${path}/rename`, { payload: { device: step.to } })
    case 'make':
      return call('POST', '/v1/devices', { payload: { tenant, device: step.device } })
    case 'adopt':
      return call('POST', '/v1/devices', { payload: { tenant, device: step.device, adopt: step.history } })
  }
}

async function valuesOf(call: Call, tenant: string, device: string): Promise<unknown[]> {
  const { body } = await call('GET', `/v1/devices/${tenant}/${device}/readings`)
  const series = body['series'] as { points: [number, unknown][] }[]
  return series.flatMap(({ points }) => points.map(([, value]) => value))
}

/** Does what the history says, and compares every answer, and what each device has in the end. */
async function check(call: Call, tenant: string, history: readonly Step[], patience = PATIENCE): Promise<void> {
  const model = new Model()
  for (const step of history) {
    const { code, value } = model.apply(step)
    const { status, body } = await perform(call, tenant, step, value)
    expect([step, status < 300 ? 'done' : body['code']]).toEqual([step, code])
  }
  for (const [device, { values }] of model.devices) {
    await vi.waitFor(async () => expect(await valuesOf(call, tenant, device)).toEqual(values), patience)
    const { body } = await call('GET', `/v1/devices/${tenant}/${device}/latest`)
    const streams = body['streams'] as { fields: { v: { value: number } } }[]
    for (const { fields } of streams) expect(values).toContain(fields.v.value)
  }
}

describe('devices that are made, removed, renamed and adopted in any order', { timeout: 300_000 }, () => {
  it('have the readings that were published to them, and no others', async () => {
    const { call } = await openReal()
    let tenants = 0
    await fc.assert(
      fc.asyncProperty(histories, (history) => check(call, `t${(tenants += 1)}`, history)),
      { numRuns: RUNS },
    )
  })

  it('do not where everything is stored under names', async () => {
    const { call } = await openReal(byName)
    const sent = { kind: 'publish', device: 'a' } as const
    const [make, remove] = [{ kind: 'make', device: 'a' } as const, { kind: 'remove', device: 'a' } as const]
    const wrong = check(call, 't', [make, sent, remove, make, sent], { timeout: 5_000 })
    await expect(wrong).rejects.toThrow('to deeply equal')
  })
})
