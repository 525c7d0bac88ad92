import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { childEnvironment } from '../../../shared/config.ts'
import { tempFolder } from '../../helpers.ts'

it('up --cluster without its settings ends with 1, and says which is missing', async () => {
  const folder = tempFolder()
  const env = childEnvironment({ DATA_DIR: folder, OPS_PORT: '0', MQTT_PORT: '0', HTTP_PORT: '0' })
  const args = ['--disable-warning=ExperimentalWarning', 'services/cli/main.ts', 'up', '--cluster']
  const up = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const [said, exit] = await Promise.all([text(up.stderr), once(up, 'exit')])
  expect(exit).toEqual([1, null])
  expect(said).toMatch(/cannot start: .*MARIADB_URL.*\(setting_invalid\)/)
})
