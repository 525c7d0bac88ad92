import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openPolicyOverlays } from '../../../services/query-api/policy-overlays.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openApi } from './api.ts'
import type { MemoryRegistry } from './memory-registry.ts'

const folders: string[] = []
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })))

function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-policies-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

async function openOverlays(registry: MemoryRegistry, folder: string) {
  const metrics = createMetrics({ defaults: false })
  const overlays = await openPolicyOverlays({ registry, folder, logger: createLogger('silent'), metrics, lookMs: 5 })
  onTestFinished(() => overlays.close())
  return {
    refused: async () => (await metrics.getMetricsAsJSON()).find(({ name }) => name.endsWith('refused'))?.values,
  }
}

const path = '/v1/policies?tenant=acme'

describe('policies in files', () => {
  it('are in force, named with their line, refused to everybody else, and audited', async () => {
    const { call, registry } = await openApi()
    await call('PUT', path, { payload: { revision: 0, document: { same_time: 'last', time_zone: 'UTC' } } })
    await openOverlays(registry, folderOf({ 'a.yaml': 'tenant: acme\nsame_time: keep\n' }))
    const { body } = await call('GET', path)
    expect(body).toMatchObject({ revision: 2, who: 'file a.yaml', document: { same_time: 'keep', time_zone: 'UTC' } })
    const settings = body['settings'] as object[]
    const built = { value: 'text', from: 'built in', file: null, who: null }
    expect(settings).toContainEqual({ name: 'quoted_numbers', ...built })
    expect(settings).toContainEqual({ name: 'same_time', value: 'keep', from: 'tenant', file: 'a.yaml:2', who: null })
    expect(settings).toContainEqual({ name: 'time_zone', value: 'UTC', from: 'tenant', file: null, who: 'admin' })
    const answer = await call('PUT', path, { payload: { revision: 2, document: { time_zone: 'UTC' } } })
    expect(answer).toMatchObject({ status: 409, body: { code: 'policy_in_file' } })
    expect(answer.body['detail']).toContain('same_time is set by a.yaml:2')
    expect(registry.audited.at(-1)).toBe('file a.yaml policies.set acme')
  })

  it('are read again when they change; while they are wrong those before stay', async () => {
    const { registry } = await openApi()
    const { policies } = registry
    const folder = folderOf({ 'a.yaml': 'tenant: acme\nsame_time: keep\n', 'b.yaml': 'tenant: other\ntime_zone: UTC' })
    const { refused } = await openOverlays(registry, folder)
    writeFileSync(join(folder, 'a.yaml'), 'tenant: acme\nsame_time: never\n')
    await vi.waitFor(async () => expect(await refused()).toMatchObject([{ value: 1 }]))
    expect((await policies.read('acme'))?.document).toEqual({ same_time: 'keep' })
    writeFileSync(join(folder, 'a.yaml'), 'tenant: acme\n\nsame_time: last\n')
    rmSync(join(folder, 'b.yaml'))
    await vi.waitFor(async () => expect(await refused()).toMatchObject([{ value: 0 }]))
    expect(await policies.read('acme')).toMatchObject({
      document: { same_time: 'last' },
      sources: { files: { same_time: 'a.yaml:3' } },
    })
    expect(await policies.read('other')).toMatchObject({ document: {}, who: 'file b.yaml' })
  })

  it('that are wrong at the start, or too large together with what is set, end it', async () => {
    const { registry } = await openApi()
    const wrong = openOverlays(registry, folderOf({ 'a.yaml': 'tenant: acme\nsame_time: never\n' }))
    await expect(wrong).rejects.toThrow('a.yaml:2: same_time is "never"')
    const streams = (from: number) =>
      Object.fromEntries(Array.from({ length: 1_500 }, (_, i) => [`s${from + i}`, { same_time: 'keep' }] as const))
    await registry.policies.put({ scope: 'acme', document: { streams: streams(0) }, from: 0, who: 'admin' })
    const large = JSON.stringify({ tenant: 'acme', streams: streams(5_000) }) // JSON is YAML
    await expect(openOverlays(registry, folderOf({ 'a.yaml': large }))).rejects.toThrow('more than 65536')
  })

  it('wait for the registry, and for another process that lays them over', async () => {
    const { registry } = await openApi()
    const { policies } = registry
    const overlay = policies.overlay.bind(policies)
    const failures = [new SluiceError('policy_changed', 'late'), new SluiceError('registry_unavailable', 'away')]
    vi.spyOn(policies, 'overlay').mockImplementation(async (change) => {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      return overlay(change)
    })
    const { refused } = await openOverlays(registry, folderOf({ 'a.yaml': 'tenant: acme\nsame_time: keep\n' }))
    await vi.waitFor(async () => expect(await refused()).toMatchObject([{ value: 0 }]))
    expect((await policies.read('acme'))?.document).toEqual({ same_time: 'keep' })
  })
})
