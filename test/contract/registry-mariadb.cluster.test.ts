import { describe, expect, it } from 'vitest'
import { foldingRegistry } from '../variants/folding-registry.ts'
import { unguardedRegistry } from '../variants/unguarded-registry.ts'
import { checkNamesAreDistinct, describeDevices } from './registry-devices-contract.ts'
import { openRegistry } from './registry-harness.ts'
import { describeLogins } from './registry-logins-contract.ts'
import { MariadbOfFile } from './registry-mariadb-harness.ts'
import { checkFieldsAreDistinct, checkStateNeverGoesBack, describeState } from './registry-state-contract.ts'

const mariadb = new MariadbOfFile()
const make = () => mariadb.harness()

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
