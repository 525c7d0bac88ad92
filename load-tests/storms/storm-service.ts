import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ApiClient } from '../../services/cli/api-client.ts'
import { createAuthority, issueServer } from '../../services/cli/certificate-authority.ts'

const root = join(import.meta.dirname, '../..')

export interface StormService {
  readonly mqttPort: number
  readonly tlsPort: number
  /** Certificate of the authority, PEM. */
  readonly authority: string
  readonly api: ApiClient
  /** User and system time of the process so far, in seconds. */
  cpuSeconds(): number
  stop(): Promise<void>
}

interface ReadyLine {
  readonly pid: number
  readonly mqtt: { readonly port: number }
  readonly tls: { readonly port: number }
  readonly http: { readonly port: number }
}

const CLOCK_TICKS = 100

/** The whole of Sluice in one process, with TLS, on free ports, with its data in a folder that goes with it. */
export async function startStormService(settings: Readonly<Record<string, string>> = {}): Promise<StormService> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-storm-'))
  const authority = await createAuthority('Benchmark', 1)
  const server = await issueServer(authority, ['localhost', '127.0.0.1'], 1)
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')]
  writeFileSync(certificate, server.certificate)
  writeFileSync(key, server.key, { mode: 0o600 })
  const env = {
    ...process.env,
    ...{ DATA_DIR: folder, MQTT_PORT: '0', HTTP_PORT: '0', MQTT_TLS_PORT: '0' },
    ...{ MQTT_TLS_CERT_FILE: certificate, MQTT_TLS_KEY_FILE: key, ...settings },
  }
  const args = ['--disable-warning=ExperimentalWarning', join(root, 'services/cli/main.ts'), 'up']
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
    rmSync(folder, { recursive: true, force: true })
  }
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.includes('"msg":"ready"')) continue
    const ready = JSON.parse(line) as ReadyLine
    child.stderr.resume()
    const token = readFileSync(join(folder, 'admin-token'), 'utf8').trim()
    return {
      ...{ mqttPort: ready.mqtt.port, tlsPort: ready.tls.port, authority: authority.certificate, stop },
      api: new ApiClient({ url: `http://127.0.0.1:${ready.http.port}`, token }),
      cpuSeconds: () => cpuSeconds(ready.pid),
    }
  }
  await stop()
  throw new Error('the service ended before it was ready')
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS
}
