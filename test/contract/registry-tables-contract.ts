import { describe, expect, it, onTestFinished } from 'vitest'
import type { RegistryTables, TableRow } from '../../shared/registry/tables-port.ts'
import { createDevice, openRegistry, SIMILAR_FIELDS, SIMILAR_NAMES, type RegistryHarness } from './registry-harness.ts'

export interface TablesHarness extends RegistryHarness {
  openTables(): Promise<RegistryTables>
}

async function openTables(harness: TablesHarness): Promise<RegistryTables> {
  const tables = await harness.openTables()
  onTestFinished(() => tables.close())
  return tables
}

async function allRows(tables: RegistryTables, table: string, limit: number): Promise<TableRow[]> {
  const found: TableRow[] = []
  for (;;) {
    const rows = await tables.page(table, { after: found.at(-1), limit })
    found.push(...rows)
    if (rows.length < limit) return found
  }
}

/** Fills one registry with everything that moves, and closes it. */
async function fill(harness: TablesHarness): Promise<{ secret: string; token: string }> {
  const registry = await harness.open()
  for (const device of SIMILAR_NAMES) await createDevice(registry, `acme/${device}`)
  const { secret, token } = await createDevice(registry, 'other/pump-1')
  await registry.createApplication('panel', [
    { effect: 'allow', action: 'subscribe', topic: 't/acme/+/telemetry/#' },
    { effect: 'deny', action: 'subscribe', topic: 't/acme/pump-1/telemetry/#' },
  ])
  await registry.pinFieldTypes(
    SIMILAR_FIELDS.map((field) => ({ tenant: 'acme', stream: 'telemetry', field, type: 'float' as const })),
  )
  const fields = { tämp: { time: { ms: 5, ns: 7 }, value: 2n ** 60n, type: 'integer' as const } }
  const names = { tenant: 'acme', device: 'pump-1', stream: 'telemetry' }
  await registry.writeState([
    { ...names, fields, lastSeenMs: 1_800_000_000_000, log: 'l', partition: 0, offset: 2 ** 40 },
  ])
  await registry.close()
  return { secret, token }
}

/** The promises of {@link RegistryTables}: `make` gives another empty registry each time. */
export function describeTables(name: string, make: () => Promise<TablesHarness>): void {
  describe(`${name}: tables`, () => {
    it('every row is paged once, whatever the size of a page', async () => {
      const harness = await make()
      await fill(harness)
      const tables = await openTables(harness)
      for (const table of tables.names) {
        const whole = await allRows(tables, table, 1000)
        expect(await allRows(tables, table, 3)).toEqual(whole)
        expect(await tables.find(table, whole)).toEqual(whole)
      }
      expect(await allRows(tables, 'devices', 1000)).toHaveLength(SIMILAR_NAMES.length + 1)
      expect(await allRows(tables, 'field_types', 1000)).toHaveLength(SIMILAR_FIELDS.length)
    })

    it('moved rows are a registry: logins, rules and state are as before', async () => {
      const [from, to] = [await make(), await make()]
      const { secret, token } = await fill(from)
      const source = await from.openTables()
      const target = await to.openTables()
      for (const table of source.names) await target.insert(table, await allRows(source, table, 1000))
      await source.close()
      await target.close()
      const [before, after] = [await openRegistry(from), await openRegistry(to)]
      expect(await after.verifySecret('other/pump-1', secret)).toMatchObject({ name: 'other/pump-1' })
      expect(await after.verifyToken(token)).toMatchObject({ name: 'other/pump-1' })
      expect(await after.listApplications()).toEqual(await before.listApplications())
      expect(await after.listDevices({ limit: 100 })).toEqual(await before.listDevices({ limit: 100 }))
      expect(await after.readState('acme', 'pump-1')).toEqual(await before.readState('acme', 'pump-1'))
    })

    it('a row whose key is there stays as it is, and its neighbours go in', async () => {
      const tables = await openTables(await make())
      const tenant = (tenant: string, created_ms: number) => ({ tenant, created_ms })
      await tables.insert('tenants', [tenant('acme', 1)])
      await tables.insert('tenants', [tenant('acme', 2), tenant('Acme', 3), tenant('beta', 4)])
      const asked = [tenant('beta', 0), tenant('none', 0), tenant('acme', 0), tenant('Acme', 0)]
      const found = await tables.find('tenants', asked)
      expect(found.map((row) => row?.['created_ms'])).toEqual([4, undefined, 1, 3])
    })

    it('another process that serves logins is told of what came', async () => {
      const harness = await make()
      const tables = await openTables(harness)
      const registry = await harness.open().catch((error: unknown) => error)
      // A registry of one process is locked instead.
      if (registry instanceof Error) return expect(registry).toMatchObject({ code: 'data_locked' })
      const other = registry as Awaited<ReturnType<TablesHarness['open']>>
      onTestFinished(() => other.close())
      const heard = new Promise<string>((resolve) => other.onChange(resolve))
      await tables.insert('devices', [{ tenant: 'acme', device: 'pump-9', tags: '{}', created_ms: 1 }])
      expect(await heard).toBe('acme/pump-9')
    })
  })
}
