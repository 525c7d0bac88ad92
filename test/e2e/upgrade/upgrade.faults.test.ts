import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MILLION } from '../../../load-tests/upgrade/history.ts'
import { makeFolder } from '../../../load-tests/upgrade/make.ts'
import { tempFolder } from '../../helpers.ts'
import { expectUpgraded } from './upgraded.ts'

const older = process.env['SLUICE_OLD_CHECKOUT']

describe.skipIf(older === undefined)(
  'a data folder of an older version (SLUICE_OLD_CHECKOUT=its checkout, with node_modules)',
  () => {
    it('with a million points is answered as before', async () => {
      const out = tempFolder()
      const { logins, answers } = await makeFolder(older ?? '', out, MILLION)
      const points = JSON.stringify(answers).match(/"count":41700/g)
      expect(points?.length).toBeGreaterThan(0)
      await expectUpgraded({ folder: join(out, 'data'), logins, answers })
    })
  },
)
