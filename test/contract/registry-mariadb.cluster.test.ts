import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { foldingRegistry } from '../variants/folding-registry.ts'
import { unguardedRegistry } from '../variants/unguarded-registry.ts'
import { startMariadb, type Mariadb } from '../servers/mariadb.ts'
import { checkNamesAreDistinct, describeDevices } from './registry-devices-contract.ts'
import { openRegistry } from './registry-harness.ts'
import { describeLogins } from './registry-logins-contract.ts'
import { makeMariadbHarness } from './registry-mariadb-harness.ts'
import { checkFieldsAreDistinct, checkStateNeverGoesBack, describeState } from './registry-state-contract.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-mariadb-'))
let server: Mariadb

beforeAll(async () => {
  server = await startMariadb(folder)
})

afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const make = () => makeMariadbHarness(server)

describeDevices('MariaDB registry', make)
describeLogins('MariaDB registry', make)
describeState('MariaDB registry', make)

describe('the contract sees', () => {
  it('a registry that folds the case of names', async () => {
    const wrong = foldingRegistry(await openRegistry(await make()))
    await expect(checkNamesAreDistinct(wrong)).rejects.toThrow('already exists')
    await expect(checkFieldsAreDistinct(wrong)).rejects.toThrow('to deeply equal')
  })

  it('a registry that takes any state for the latest', async () => {
    const wrong = unguardedRegistry(await openRegistry(await make()))
    await expect(checkStateNeverGoesBack(wrong)).rejects.toThrow('to deeply equal')
  })
})
