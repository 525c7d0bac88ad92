import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openContractOverlays } from '../../../services/query-api/contract-overlays.ts'
import { WORKER_FEATURES } from '../../../shared/features.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { meaningOf } from '../../../shared/registry/types-port.ts'
import { tempFolder } from '../../helpers.ts'
import { openApi } from './api.ts'
import { MemoryRegistry } from './memory-registry.ts'

const TOTAL = { tenant: 'demo', stream: 'meter', field: 'total' }
const contract = (...lines: string[]) =>
  `tenant: demo\nstreams:\n  meter:\n    total:\n      ${lines.join('\n      ')}\n`

async function openContracts(registry: MemoryRegistry, folder: string, features: readonly string[] = WORKER_FEATURES) {
  const metrics = createMetrics({ defaults: false })
  const workers = async () => [{ id: 'one', host: 'w1', partitions: [0], features }]
  const overlay = await openContractOverlays({
    ...{ registry, workers, folder, metrics, lookMs: 5 },
    logger: createLogger('silent'),
  })
  onTestFinished(() => overlay.close())
  return overlay
}

describe('contracts in files', () => {
  it('are in force, named with their line, refused to everybody else, and audited', async () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'a.yaml'), contract('unit: Wh', 'min: 0', 'outside: fault'))
    const registry = new MemoryRegistry()
    const contracts = await openContracts(registry, folder)
    const { call } = await openApi({ registry, contracts })
    const token = registry.adminKey
    expect(registry.audited).toEqual(['contract files types.set 1 fields'])
    await call('PUT', '/v1/types', { token, payload: { ...TOTAL, name: 'Energy' } })
    expect((await call('GET', '/v1/types', { token })).body).toMatchObject({
      types: [{ ...TOTAL, unit: 'Wh', min: 0, outside: 'fault', name: 'Energy', files: { unit: 'a.yaml:5' } }],
      contractsRefused: null,
    })
    const refused = await call('PUT', '/v1/types', { token, payload: { ...TOTAL, unit: 'kWh' } })
    expect(refused).toMatchObject({ status: 409, body: { code: 'contract_in_force' } })
    expect(refused.body['detail']).toContain('unit is set by a.yaml:5')
  })

  it('that are wrong are told with file and line, and the whole set before stays, over a start, too', async () => {
    const folder = tempFolder()
    const write = (...lines: string[]) => writeFileSync(join(folder, 'a.yaml'), contract(...lines))
    write('unit: Wh')
    writeFileSync(join(folder, 'b.yaml'), 'tenant: demo\nstreams: {meter: {power: {unit: W}}}\n')
    const registry = new MemoryRegistry()
    const contracts = await openContracts(registry, folder)
    writeFileSync(join(folder, 'b.yaml'), 'tenant: demo\nstreams: {meter: {power: {unit: kW}}}\n')
    write('unit: kWh', 'minimum: 5')
    const said = 'contract_invalid a.yaml:6: streams.meter.total.minimum cannot be declared'
    await vi.waitFor(() => expect(contracts.problem).toContain(said))
    expect(meaningOf(registry.declaredTypes, TOTAL)).toEqual({ unit: 'Wh' })
    expect(meaningOf(registry.declaredTypes, { ...TOTAL, field: 'power' })).toEqual({ unit: 'W' })
    const started = await openContracts(registry, folder)
    expect(started.problem).toContain(said)
    expect(meaningOf(registry.declaredTypes, TOTAL)).toEqual({ unit: 'Wh' })
    const { call } = await openApi({ registry, contracts: started })
    const { body } = await call('GET', '/v1/types', { token: registry.adminKey })
    expect(body['contractsRefused']).toContain(said)
    write('unit: kWh', 'min: 5')
    await vi.waitFor(() => expect(started.problem).toBeUndefined())
    expect(meaningOf(registry.declaredTypes, TOTAL)).toEqual({ unit: 'kWh', min: 5 })
    expect(meaningOf(registry.declaredTypes, { ...TOTAL, field: 'power' })).toEqual({ unit: 'kW' })
  })

  it('wait for workers that do not know of ranges, and for a folder that is not there', async () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'a.yaml'), contract('min: 5'))
    const registry = new MemoryRegistry()
    const old = await openContracts(registry, folder, ['declared-types'])
    expect(old.problem).toContain('feature_missing 1 of 1 workers do not read declared-ranges: w1')
    expect(await registry.declaredTypes.list()).toEqual([])
    rmSync(folder, { recursive: true })
    expect((await openContracts(registry, folder)).problem).toContain(`contract_invalid ${folder} cannot be read`)
  })
})
