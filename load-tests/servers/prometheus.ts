import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts, portAnswers, ServerProcess } from './server-process.ts'
import { findCommand, installPackages } from './tools.ts'

/** The alerts that we hand out. */
export const ALERT_RULES = new URL('../../config/prometheus/sluice.rules.yml', import.meta.url).pathname

export interface Prometheus {
  readonly url: string
  /** Names of the alerts that fire. */
  firing(): Promise<string[]>
  stop(): Promise<void>
}

interface Alerts {
  readonly data: { readonly alerts: readonly { readonly state: string; readonly labels: { alertname: string } }[] }
}

/** The path of `prometheus` or `promtool`, which are installed where they are missing. */
export async function prometheusCommand(command: 'prometheus' | 'promtool'): Promise<string> {
  await installPackages([{ command, package: 'prometheus', why: 'Prometheus, for alerts' }])
  return findCommand(command) ?? command
}

/** Prometheus with the alerts that we hand out, asking the metrics at these ports of this machine each `everySeconds`. */
export async function startPrometheus(
  folder: string,
  ports: readonly number[],
  everySeconds: number,
): Promise<Prometheus> {
  const command = await prometheusCommand('prometheus')
  const [port = 0] = await freePorts(1)
  const file = join(folder, 'prometheus.yml')
  const every = `${everySeconds}s`
  const targets = ports.map((one) => `127.0.0.1:${one}`)
  // JSON is YAML.
  const configuration = {
    global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
    rule_files: [ALERT_RULES],
    scrape_configs: [{ job_name: 'sluice', static_configs: [{ targets }] }],
  }
  writeFileSync(file, JSON.stringify(configuration))
  const address = `--web.listen-address=127.0.0.1:${port}`
  const server = new ServerProcess({
    ...{ name: 'Prometheus', command, logFile: join(folder, 'prometheus.log'), probe: portAnswers(port) },
    args: [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'prometheus')}`, address],
  })
  await server.start()
  const url = `http://127.0.0.1:${port}`
  const firing = async () => {
    const { data } = (await (await fetch(`${url}/api/v1/alerts`)).json()) as Alerts
    return data.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname)
  }
  return { url, firing, stop: () => server.stop('SIGKILL') }
}
