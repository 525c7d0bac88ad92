import { describe, expect, it } from 'vitest'
import { foldingRegistry } from '../variants/folding-registry.ts'
import { rememberingRegistry } from '../variants/remembering-registry.ts'
import { unguardedRegistry } from '../variants/unguarded-registry.ts'
import { describeClaims } from './registry-claims-contract.ts'
import { describeDeviceSearch } from './registry-device-search-contract.ts'
import { checkNamesAreDistinct, describeDevices } from './registry-devices-contract.ts'
import { describeFacts } from './registry-facts-contract.ts'
import { openRegistry } from './registry-harness.ts'
import { checkRotation, describeIdentity } from './registry-identity-contract.ts'
import { describeImports } from './registry-imports-contract.ts'
import { describeJobs } from './registry-jobs-contract.ts'
import { describeLetterNotes } from './registry-letters-contract.ts'
import { describeLogins } from './registry-logins-contract.ts'
import { MariadbOfFile } from './registry-mariadb-harness.ts'
import { describeDecoders } from './registry-decoders-contract.ts'
import { describePolicies } from './registry-policies-contract.ts'
import { describeDeclaredTypes } from './registry-types-contract.ts'
import { describePresence } from './registry-presence-contract.ts'
import { checkFieldsAreDistinct, checkStateNeverGoesBack, describeState } from './registry-state-contract.ts'
import { describeStampSlots } from './registry-stamp-slots-contract.ts'
import { describeTables } from './registry-tables-contract.ts'
import { describeTombstones } from './registry-tombstones-contract.ts'
import { describeWatches } from './registry-watches-contract.ts'
import { describeUids } from './registry-uids-contract.ts'

const mariadb = new MariadbOfFile()
const make = () => mariadb.harness()

describeDevices('MariaDB registry', make)
describeDeviceSearch('MariaDB registry', make)
describeLogins('MariaDB registry', make)
describeIdentity('MariaDB registry', make)
describeImports('MariaDB registry', make)
describePresence('MariaDB registry', make)
describePolicies('MariaDB registry', make)
describeDecoders('MariaDB registry', make)
describeDeclaredTypes('MariaDB registry', make)
describeClaims('MariaDB registry', make)
describeState('MariaDB registry', make)
describeTables('MariaDB registry', make)
describeStampSlots('MariaDB registry', make)
describeUids('MariaDB registry', make)
describeJobs('MariaDB registry', make, true)
describeLetterNotes('MariaDB registry', make)
describeTombstones('MariaDB registry', make)
describeWatches('MariaDB registry', make)
describeFacts('MariaDB registry', make)

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

  it('a registry that takes any state for the latest', async () => {
    const wrong = unguardedRegistry(await openRegistry(await make()))
    await expect(checkStateNeverGoesBack(wrong)).rejects.toThrow('to deeply equal')
  })
})
