import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { answersTo, differences, untilAnswered } from '../../../load-tests/upgrade/answers.ts'
import { connect } from '../../../load-tests/upgrade/fill.ts'
import { seal, TAIL_COUNT, TAIL_READ } from '../../../load-tests/upgrade/make.ts'
import type { Target } from '../../../load-tests/upgrade/target.ts'
import { startServer, type Server } from '../server.ts'
import { unpack } from './fixture.ts'
import { unwanted } from './on-purpose.ts'

const root = join(import.meta.dirname, '../../..')
/** The letters of a fixture are years old when this is run. */
const env = { LOG_RETENTION_HOURS: '87600' }
const targetOf = ({ url, token, mqttPort }: Server): Target => ({ url, token, mqttPorts: [mqttPort] })

/** Every file by its path, with its bytes. */
function contents(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => !name.endsWith('-shm'))
  const files = names.filter((name) => statSync(join(folder, name)).isFile()).sort()
  return new Map(files.map((name) => [name, readFileSync(join(folder, name)).toString('base64')]))
}

const copiesIn = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('before-'))

async function opened(folder: string): Promise<Server> {
  const server = await startServer({ folder, env })
  await untilAnswered(targetOf(server), TAIL_COUNT, TAIL_READ)
  return server
}

describe('a data folder of the version before', { timeout: 120_000 }, () => {
  it('is kept as it was, byte for byte, whatever is stored afterwards, and can be gone back to', async () => {
    const { folder, logins, answers } = unpack('6a8afcf')
    const before = contents(folder)
    const first = await opened(folder)
    const [copy = ''] = copiesIn(folder)
    expect(copiesIn(folder)).toHaveLength(1)
    // Into a month of which there is a file, and into another one.
    const { username, secret } =
      Object.values(logins).find((login) => !login.refused && login.username.includes('/')) ?? {}
    const client = await connect(targetOf(first), { username: username ?? '', secret: secret ?? '' })
    for (const ts of [Date.UTC(2023, 10, 20), Date.UTC(2025, 0, 1)]) {
      await client.publishAsync(`t/${username}/telemetry/after`, JSON.stringify({ ts, after: 1 }), { qos: 1 })
    }
    await client.endAsync()
    await first.kill('SIGTERM')
    await seal(root, join(folder, 'points'))
    const second = await opened(folder)
    await second.kill('SIGTERM')
    expect(copiesIn(folder)).toEqual([copy])
    expect(contents(join(folder, copy))).toEqual(before)

    // As docs/upgrade.md says.
    const back = `${folder}-back`
    cpSync(join(folder, copy), back, { recursive: true })
    const third = await opened(back)
    await expect
      .poll(async () => unwanted(differences(answers, await answersTo(targetOf(third), Object.keys(answers)))))
      .toEqual([])
  })

  it('that a newer one wrote names the copy, and how to go back to it', async () => {
    const { folder } = unpack('6a8afcf')
    await (await opened(folder)).kill('SIGTERM')
    const [copy = ''] = copiesIn(folder)
    const db = new DatabaseSync(join(folder, 'points', 'raw.db'))
    db.exec('PRAGMA user_version = 99')
    db.close()
    const failure = await startServer({ folder, env }).then(() => '', String)
    expect(failure).toContain('data_newer')
    expect(failure).toContain(join(folder, copy))
    expect(failure).toContain('docs/upgrade.md says under')
  })

  it('is copied after a kill in the middle of it, and instead of the copy of an earlier upgrade', async () => {
    const { folder } = unpack('6a8afcf')
    const before = contents(folder)
    await (await opened(folder)).kill('SIGTERM')
    const [copy = ''] = copiesIn(folder)
    const again = unpack('6a8afcf').folder
    for (const name of [`${copy}.draft`, 'before-registry4-points1-log1-sessions0']) {
      mkdirSync(join(again, name))
      writeFileSync(join(again, name, 'registry.db'), 'half of it')
    }
    const server = await opened(again)
    expect(copiesIn(again)).toEqual([copy])
    expect(contents(join(again, copy))).toEqual(before)
    expect(server.log()).toContain('the copy of an earlier upgrade was removed')
  })

  it('that cannot be copied is not upgraded', async () => {
    const { folder } = unpack('6a8afcf')
    const before = contents(folder)
    symlinkSync('nowhere', join(folder, 'broken'))
    const failure = await startServer({ folder, env }).then(() => '', String)
    expect(failure).toContain('data_unwritable')
    expect(failure).toContain('to do without a copy')
    unlinkSync(join(folder, 'broken'))
    expect(contents(folder)).toEqual(before)
  })
})
