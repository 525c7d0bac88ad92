import { newApiKey } from '../../shared/registry/credentials.ts'
import { mkdirSync, writeFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { openSqliteRegistry, openSqliteTables } from '../../shared/registry/sqlite/open.ts'
import { tempFolder } from '../helpers.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'
import { foldingRegistry } from '../variants/folding-registry.ts'
import { rememberingRegistry } from '../variants/remembering-registry.ts'
import { unguardedRegistry } from '../variants/unguarded-registry.ts'
import { describeClaims } from './registry-claims-contract.ts'
import { describeDeviceSearch } from './registry-device-search-contract.ts'
import { checkNamesAreDistinct, describeDevices } from './registry-devices-contract.ts'
import { describeFacts } from './registry-facts-contract.ts'
import { createDevice, openRegistry } from './registry-harness.ts'
import { checkRotation, describeIdentity } from './registry-identity-contract.ts'
import { describeImports } from './registry-imports-contract.ts'
import { describeJobs } from './registry-jobs-contract.ts'
import { describeLetterNotes } from './registry-letters-contract.ts'
import { describeLogins } from './registry-logins-contract.ts'
import { describeDecoders } from './registry-decoders-contract.ts'
import { describePolicies } from './registry-policies-contract.ts'
import { describeDeclaredTypes } from './registry-types-contract.ts'
import { checkPresenceIsFenced, describePresence } from './registry-presence-contract.ts'
import { checkFieldsAreDistinct, checkStateNeverGoesBack, describeState } from './registry-state-contract.ts'
import { describeStampSlots } from './registry-stamp-slots-contract.ts'
import { describeTables, type TablesHarness } from './registry-tables-contract.ts'
import { describeTombstones } from './registry-tombstones-contract.ts'
import { describeWatches } from './registry-watches-contract.ts'
import { describeUids } from './registry-uids-contract.ts'

const KEY = Buffer.alloc(32, 1)

function open(file: string, credentialKey: Buffer = KEY): Promise<Registry> {
  const metrics = createMetrics({ defaults: false })
  return openSqliteRegistry({ file, credentialKey, logger: createLogger('silent'), metrics })
}

async function make(): Promise<TablesHarness> {
  const file = join(tempFolder(), 'registry.db')
  const options = { file, credentialKey: KEY, logger: createLogger('silent') }
  return {
    open: (credentialKey) => open(file, credentialKey),
    openTables: () => openSqliteTables({ ...options, metrics: createMetrics({ defaults: false }) }),
  }
}

describeDevices('SQLite registry', make)
describeDeviceSearch('SQLite registry', make)
describeLogins('SQLite registry', make)
describeIdentity('SQLite registry', make)
describeImports('SQLite registry', make)
describePresence('SQLite registry', make)
describePolicies('SQLite registry', make)
describeDecoders('SQLite registry', make)
describeDeclaredTypes('SQLite registry', make)
describeClaims('SQLite registry', make)
describeState('SQLite registry', make)
describeTables('SQLite registry', make)
describeStampSlots('SQLite registry', make)
describeUids('SQLite registry', make)
describeJobs('SQLite registry', make, false)
describeLetterNotes('SQLite registry', make)
describeTombstones('SQLite registry', make)
describeWatches('SQLite registry', make)
describeFacts('SQLite registry', make)

const code = (value: string) => expect.objectContaining({ code: value }) as Error

describe('the file of the SQLite registry', () => {
  it('belongs to one at a time', async () => {
    const file = join(tempFolder(), 'registry.db')
    const registry = await openRegistry({ open: () => open(file) })
    await expect(open(file)).rejects.toThrow(code('data_locked'))
    await expect(open(file)).rejects.toThrow(file)
    await createDevice(registry, 'acme/p1')
    await registry.close()
    const next = await openRegistry({ open: () => open(file) })
    expect(await next.getDevice('acme', 'p1')).toBeDefined()
  })

  it('of a newer version is left alone', async () => {
    const file = join(tempFolder(), 'registry.db')
    await (await open(file)).close()
    const database = new DatabaseSync(file)
    database.exec("insert into kysely_migration (name, timestamp) values ('9999-later', '2030')")
    database.close()
    // Those of what was there before.
    rmSync(`${file}-sums`)
    await expect(open(file)).rejects.toThrow(code('data_newer'))
    await expect(open(file)).rejects.toThrow('9999-later')
  })

  it('that is no database is told apart from one that cannot be made', async () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'text'), 'not a database, but long enough to be taken for one'.repeat(100))
    mkdirSync(join(folder, 'folder'))
    await expect(open(join(folder, 'text'))).rejects.toThrow(code('data_corrupt'))
    await expect(open(join(folder, 'folder'))).rejects.toThrow(code('data_unwritable'))
    await expect(open(join(folder, 'text', 'registry.db'))).rejects.toThrow(code('data_unwritable'))
    await expect(open('/proc/registry.db')).rejects.toThrow(code('data_unwritable'))
  })

  it('holds no secret, token or key', async () => {
    const file = join(tempFolder(), 'registry.db')
    const registry = await open(file)
    const { secret, token } = await createDevice(registry, 'acme/p1')
    const key = newApiKey()
    await registry.setAdminKey(key)
    await registry.close()
    const database = new DatabaseSync(file)
    const tables = database.prepare("select name from sqlite_schema where type = 'table'").all()
    const content = tables.flatMap(({ name }) => database.prepare(`select * from "${String(name)}"`).all())
    database.close()
    const text = JSON.stringify(content)
    expect(text).toContain('acme')
    for (const confidential of [secret, token, key, KEY.toString('base64url'), KEY.toString('hex')]) {
      expect(text).not.toContain(confidential)
    }
  })
})

describe('the contract sees', () => {
  it('a registry that folds the case of names', async () => {
    const wrong = foldingRegistry(await openRegistry(await make()))
    await expect(checkNamesAreDistinct(wrong)).rejects.toThrow('already exists')
    await expect(checkFieldsAreDistinct(wrong)).rejects.toThrow('to deeply equal')
  })

  it('a registry that goes on with a credential that has ended', async () => {
    await expect(checkRotation(rememberingRegistry(await openRegistry(await make())))).rejects.toThrow(
      'to be undefined',
    )
  })

  it('a registry that takes any session for the newest', async () => {
    const registry = await openRegistry(await make())
    const presence = overriding(registry.presence, {
      record: (rows) => registry.presence.record(rows.map((row) => ({ ...row, epoch: 0 }))),
    })
    await expect(checkPresenceIsFenced(overriding(registry, { presence }))).rejects.toThrow('to deeply equal')
  })

  it('a registry that takes any state for the latest', async () => {
    await expect(checkStateNeverGoesBack(unguardedRegistry(await openRegistry(await make())))).rejects.toThrow(
      'to deeply equal',
    )
  })
})
