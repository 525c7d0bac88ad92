import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ApiClient } from '../../shared/api-client.ts'

const root = join(import.meta.dirname, '../..')

/** `./sluice up` on a folder and ports of its own. */
export interface Service {
  readonly child: ChildProcess
  readonly pid: number
  readonly mqttPort: number
  readonly api: ApiClient
  stop(): Promise<void>
}

/** With `profile` it writes one CPU profile per thread into the current folder. */
export async function startService({ profile = false } = {}): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const env = { ...process.env, DATA_DIR: folder, MQTT_PORT: '0', HTTP_PORT: '0' }
  const node = profile
    ? ['--cpu-prof', '--disable-warning=ExperimentalWarning']
    : ['--disable-warning=ExperimentalWarning']
  const args = [...node, join(root, 'services/cli/main.ts'), 'up']
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.includes('"msg":"ready"')) continue
    const ready = JSON.parse(line) as { pid: number; mqtt: { port: number }; http: { port: number } }
    child.stderr.resume()
    const token = readFileSync(join(folder, 'admin-token'), 'utf8').trim()
    const api = new ApiClient({ url: `http://127.0.0.1:${ready.http.port}`, token })
    const stop = async () => {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
      rmSync(folder, { recursive: true, force: true })
    }
    return { child, pid: ready.pid, mqttPort: ready.mqtt.port, api, stop }
  }
  throw new Error('the service ended before it was ready')
}
