import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'
import { tempFolder } from '../../helpers.ts'

const KEY = Buffer.alloc(32, 1)
const HOLDER = fileURLToPath(new URL('./holder.ts', import.meta.url))
const options = (file: string) => {
  return { file, credentialKey: KEY, logger: createLogger('silent'), metrics: createMetrics({ defaults: false }) }
}

it('another process keeps us out of its registry, and leaves it whole when it is killed', async () => {
  const file = join(tempFolder(), 'registry.db')
  const child = spawn(process.execPath, [HOLDER, file, KEY.toString('hex')], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  await expect(openSqliteRegistry(options(file))).rejects.toMatchObject({ code: 'data_locked' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const registry = await openSqliteRegistry(options(file))
  onTestFinished(() => registry.close())
  const { username, secret } = JSON.parse(line) as { username: string; secret: string }
  expect((await registry.verifySecret(username, secret))?.name).toBe('acme/p1')
})
