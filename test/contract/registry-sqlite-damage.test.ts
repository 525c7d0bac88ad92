import { cpSync, existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { openSqliteRegistry } from '../../shared/registry/sqlite/open.ts'
import { tempFolder } from '../helpers.ts'
import { lasting } from '../long.ts'

const KEY = Buffer.alloc(32, 1)
const FILES = ['registry.db', 'registry.db-wal']
/** More than one checkpoint moves into the database. */
const DEVICES = 600

function open(folder: string): Promise<Registry> {
  const shared = { logger: createLogger('silent'), metrics: createMetrics({ defaults: false }) }
  return openSqliteRegistry({ file: join(folder, 'registry.db'), credentialKey: KEY, ...shared })
}

const named = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, i) => ({ tenant: 'acme', device: `${prefix}${i}` }))

/** The folder of a registry as it is while it is open: some in the database, the newest in the WAL. */
async function killed(): Promise<{ folder: string; devices: string[] }> {
  const [live, folder] = [join(tempFolder(), 'live'), join(tempFolder(), 'killed')]
  const first = await open(live)
  await first.createDevices(named(DEVICES, 'old'))
  await first.close()
  const registry = await open(live)
  for (const device of named(5, 'new')) await registry.createDevices([device])
  cpSync(live, folder, { recursive: true })
  const devices = await devicesOf(registry)
  await registry.close()
  return { folder, devices }
}

async function devicesOf(registry: Registry): Promise<string[]> {
  const names = [...named(DEVICES, 'old'), ...named(5, 'new')]
  const found = await Promise.all(names.map(({ tenant, device }) => registry.getDevice(tenant, device)))
  return found.map((device) => JSON.stringify(device))
}

function flip(file: string, bit: number): void {
  const bytes = readFileSync(file)
  const at = Math.floor(bit / 8) % bytes.length
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8))
  writeFileSync(file, bytes)
}

/** Every device as it was made, or why the registry does not open. */
async function contents(folder: string): Promise<string[] | string> {
  const [opened] = await Promise.allSettled([open(folder)])
  if (opened.status === 'rejected') return `${(opened.reason as { code: string }).code} ${String(opened.reason)}`
  const devices = await devicesOf(opened.value)
  await opened.value.close()
  return devices
}

describe('a registry whose files are damaged', () => {
  it('does not open, and names the file, or is as it was', async () => {
    const { folder, devices } = await killed()
    const damages = fc.tuple(fc.constantFrom(...FILES), fc.nat(2 ** 31 - 1))
    const numRuns = lasting({ gate: 30, long: 500 })
    await fc.assert(
      fc.asyncProperty(damages, async ([name, bit]) => {
        const copy = join(tempFolder(), 'copy')
        cpSync(folder, copy, { recursive: true })
        flip(join(copy, name), bit)
        const found = await contents(copy)
        if (typeof found === 'string') {
          expect(found).toMatch(new RegExp(`^data_corrupt .*${name}\\b`))
          return
        }
        // The last change alone may be one that a power cut left half written.
        const lost = devices.filter((device) => !found.includes(device))
        expect(lost).toEqual(lost.length === 0 || name === 'registry.db' ? [] : devices.slice(-1))
      }),
      { numRuns },
    )
  })

  it.for(['empty', 'removed'])('does not begin anew when it is %s', async (how) => {
    const { folder } = await killed()
    const file = join(folder, 'registry.db')
    if (how === 'removed') rmSync(file)
    else truncateSync(file)
    const wal = readFileSync(`${file}-wal`)
    expect(await contents(folder)).toMatch(/^data_corrupt .*registry\.db is damaged: it is empty or missing/)
    expect(readFileSync(`${file}-wal`)).toEqual(wal)
  })

  it('is believed when its sums are gone, as those of an older Sluice, and has sums again', async () => {
    const { folder, devices } = await killed()
    const sums = join(folder, 'registry.db-sums')
    renameSync(sums, join(folder, 'kept'))
    expect(await contents(folder)).toEqual(devices)
    expect(existsSync(sums)).toBe(true)
  })

  it('is whole when its process ended between a checkpoint and the sums of it', async () => {
    const { folder, devices } = await killed()
    const before = readFileSync(join(folder, 'registry.db-sums'))
    const wal = readFileSync(join(folder, 'registry.db-wal'))
    expect(await contents(folder)).toEqual(devices)
    // The pages are moved; the WAL is as it was, and so are the sums.
    writeFileSync(join(folder, 'registry.db-wal'), wal)
    writeFileSync(join(folder, 'registry.db-sums'), before)
    expect(await contents(folder)).toEqual(devices)
  })

  it('has sums of what many changes made of it', async () => {
    const folder = tempFolder()
    const registry = await open(folder)
    onTestFinished(() => registry.close())
    for (let i = 0; i < 12; i++) await registry.createDevices(named(200, `round-${i}-`))
    const copy = join(tempFolder(), 'copy')
    cpSync(folder, copy, { recursive: true })
    const again = await open(copy)
    expect(await again.getDevice('acme', 'round-11-199')).toBeDefined()
    await again.close()
  })
})
