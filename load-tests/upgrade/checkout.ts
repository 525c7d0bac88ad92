import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Target } from './target.ts'

/** A standalone Sluice that was started from a checkout. */
export interface Running extends Target {
  /** Every line of its log so far. */
  readonly log: readonly string[]
  /** Resolves with the exit code, null after SIGKILL, when the process is gone. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>
}

/** Dead letters of a fixture that has been kept for years are still in the log. */
const KEEPS_LOG = { LOG_RETENTION_HOURS: '87600' }

/**
 * Runs `./sluice up` of a checkout of any version on a data folder, on free ports, and resolves when it says that it is
 * ready. Rejects with what it said when it ends before.
 */
export async function startCheckout(checkout: string, folder: string): Promise<Running> {
  // Not through the shell script: a signal has to reach the process itself.
  const node = join(resolve(checkout), 'node_modules/.bin/node')
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', 'services/cli/main.ts', 'up'], {
    cwd: checkout,
    env: { ...process.env, ...KEEPS_LOG, DATA_DIR: folder, MQTT_PORT: '0', HTTP_PORT: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  child.once('exit', () => process.off('exit', end))
  const log: string[] = []
  const ready = Promise.withResolvers<ReadyLine>()
  child.once('error', ready.reject)
  child.once('close', (code) => ready.reject(new Error(`Sluice ended with ${code}:\n${log.join('\n')}`)))
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(line)
    if (line.includes('"msg":"ready"')) ready.resolve(JSON.parse(line) as ReadyLine)
  })
  const { pid, mqtt, http } = await ready.promise
  return {
    url: `http://127.0.0.1:${http.port}`,
    token: readFileSync(join(folder, 'admin-token'), 'utf8').trim(),
    mqttPorts: [mqtt.port],
    log,
    async stop(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      const gone = once(child, 'exit')
      process.kill(pid, signal)
      await gone
      return child.exitCode
    },
  }
}

interface ReadyLine {
  readonly pid: number
  readonly mqtt: { readonly port: number }
  readonly http: { readonly port: number }
}
