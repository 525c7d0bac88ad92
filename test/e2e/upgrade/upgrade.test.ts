import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { unpack } from './fixture.ts'
import { changed, expectUpgraded, openOld } from './upgraded.ts'

/**
 * Versions whose data folders go on being opened, by commit. A new version, or a new format, adds an archive beside this
 * file that was made with the last commit before it, as load-tests/upgrade/main.ts says; none is ever made anew or removed.
 * What an answer has in addition is no difference; what is answered otherwise on purpose stands in on-purpose.ts.
 */
const VERSIONS = ['6a8afcf', '6733f85']

describe.each(VERSIONS)('a data folder of %s that was killed with an unread log', (commit) => {
  it('is answered as before, its logins work, and so after a restart and when all of it is sealed', async () => {
    await expectUpgraded(unpack(commit))
  })
})

it('a data folder of 6a8afcf is not answered as before when the format of its series is taken for the present one', async () => {
  const { folder, answers } = unpack('6a8afcf')
  const db = new DatabaseSync(join(folder, 'points', 'raw.db'))
  db.exec('PRAGMA user_version = 4')
  db.close()
  const wrong = await openOld(folder).then(
    (server) => changed(server, answers),
    (error: unknown) => [String(error)],
  )
  expect(wrong).not.toEqual([])
})
