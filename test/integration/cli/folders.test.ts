import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../../..')

/** Nothing can be made below /proc, and Node's own recursive mkdir never returns there. */
const NOWHERE = '/proc/x/y'
const LIMIT_MS = 120_000

/** Runs `./sluice`; `signal` is SIGKILL when it did not end by itself. */
async function sluice(...args: readonly string[]): Promise<{ code: unknown; signal: unknown; output: string }> {
  const env = { ...process.env, DATA_DIR: NOWHERE, MQTT_PORT: '0', HTTP_PORT: '0' }
  const options = { cwd: root, env, timeout: LIMIT_MS, killSignal: 'SIGKILL' } as const
  const child = spawn(join(root, 'sluice'), args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()))
  const [code, signal] = (await once(child, 'close')) as unknown[]
  return { code, signal, output }
}

describe('a folder in which nothing can be made ends in an error that names it:', () => {
  it.for([{ verb: 'up' }, { verb: 'up --cluster' }, { verb: `cert init --folder ${NOWHERE}` }, { verb: 'cert init' }])(
    'sluice $verb',
    async ({ verb }) => {
      const { code, signal, output } = await sluice(...verb.split(' '))
      expect({ code, signal }).toEqual({ code: 1, signal: null })
      expect(output).toContain(`cannot use ${NOWHERE}`)
    },
  )
})
