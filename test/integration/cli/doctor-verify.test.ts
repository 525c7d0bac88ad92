import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { checkDataFiles } from '../../../services/cli/doctor/data-files.ts'
import { startServer, type Server } from '../../e2e/server.ts'
import { tempFolder } from '../../helpers.ts'

const root = join(import.meta.dirname, '../../..')

interface Verified {
  readonly code: number | null
  readonly fails: readonly string[]
}

function verify(folder: string): Verified {
  const env = { ...process.env, DATA_DIR: folder }
  const { status, stdout } = spawnSync(join(root, 'sluice'), ['doctor', '--verify', '--json'], { cwd: root, env })
  const { findings } = JSON.parse(stdout.toString()) as { findings: { health: string; detail: string }[] }
  return { code: status, fails: findings.filter(({ health }) => health === 'fail').map(({ detail }) => detail) }
}

/** Every file with its time and bytes. */
function everything(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => statSync(join(folder, name)).isFile())
  return Object.fromEntries(
    files.map((name) => [
      name,
      `${statSync(join(folder, name)).mtimeMs} ${readFileSync(join(folder, name), 'base64')}`,
    ]),
  )
}

async function addDevice({ url, token }: Server): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ tenant: 'demo', device: 'other' })
  expect((await fetch(`${url}/v1/devices`, { method: 'POST', headers, body })).status).toBe(201)
}

const failsOf = (folder: string): string[] =>
  checkDataFiles(folder)
    .filter(({ health }) => health === 'fail')
    .map(({ detail }) => detail)

// A server and a command take long to start on a busy machine.
const TIMEOUT = 300_000

it('doctor --verify changes nothing, and names the file that is damaged', { timeout: TIMEOUT }, async () => {
  const folder = tempFolder()
  const server = await startServer({ folder })
  await addDevice(server)
  expect(() => checkDataFiles(folder)).toThrow(expect.objectContaining({ code: 'data_locked' }) as Error)
  await server.kill('SIGKILL')
  const before = everything(folder)
  expect(Object.keys(before)).toContain('registry.db-wal')
  expect(failsOf(folder)).toEqual([])
  expect(everything(folder)).toEqual(before)
  const wal = readFileSync(join(folder, 'registry.db-wal'))
  wal[100] = (wal[100] ?? 0) ^ 1
  writeFileSync(join(folder, 'registry.db-wal'), wal)
  const { code, fails } = verify(folder)
  expect(fails).toEqual([expect.stringMatching(/^registry\.db: .*registry\.db-wal is damaged/)])
  expect(code).toBe(1)
})

it('doctor --verify says where it cannot look', () => {
  expect(failsOf(tempFolder())).toEqual([expect.stringContaining('has no log, points, registry or sessions')])
})
