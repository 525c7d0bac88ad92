import { toSluiceError } from '../../../shared/errors.ts'
import { checkCertificate } from '../doctor/certificate-check.ts'
import {
  checkClock,
  checkDataFolder,
  checkDiskSpace,
  checkNode,
  checkOpenFiles,
  checkPort,
  type Finding,
  type Health,
} from '../doctor/health-checks.ts'
import { checkLog, lossesOfLog, type Unstored } from '../log-state.ts'
import { failingServers } from '../ready-checks.ts'
import { checkWorkers, listWorkers } from '../workers.ts'
import type { DeviceName } from '../argument-parsers.ts'
import { checkLookAlikes, MAX_COMPARED } from '../doctor/look-alikes.ts'
import { collectPages } from '../pages.ts'
import type { Commands, Session } from '../session.ts'
import { printable } from '../../../shared/printable.ts'

/** What a running Sluice says of itself. */
interface Running {
  readonly mqttPort: number | undefined
  /** Receive time of the newest record, ms since 1970. */
  readonly newestMs: number | undefined
  readonly findings: readonly Finding[]
}

interface Listed extends DeviceName {
  readonly lastSeen: string | null
}

export function addDoctor({ program, run }: Commands): void {
  program
    .command('doctor')
    .description('check this machine for what Sluice needs, with a fix for each finding; exit code 1 if a check fails')
    .option('--verify', 'instead read every file of a stopped data folder, change nothing, and name what is damaged')
    .action(
      run((session, options: { verify?: boolean }) => (options.verify === true ? verify(session) : doctor(session))),
    )
}

/** Memory does not grow with the folder. Error: `data_locked` while a Sluice runs on it. */
async function verify(session: Session): Promise<0 | 1> {
  const { checkDataFiles } = await import('../doctor/data-files.ts')
  return tell(session, { folder: session.settings.DATA_DIR }, checkDataFiles(session.settings.DATA_DIR))
}

async function doctor(session: Session): Promise<0 | 1> {
  const { BIND_ADDRESS: host, MQTT_PORT, HTTP_PORT, DATA_DIR, DISK_RESERVE } = session.settings
  const running = await askRunning(session)
  const isOurs = running !== undefined && Number(new URL(session.url).port) === HTTP_PORT
  const findings = [
    checkNode(session.host.nodeVersion),
    checkDataFolder(DATA_DIR),
    ...checkDiskSpace(DATA_DIR, DISK_RESERVE),
    await checkPort('MQTT_PORT', { host, port: MQTT_PORT }, isOurs && running.mqttPort === MQTT_PORT),
    ...(await checkOtherListeners(session, isOurs)),
    await checkPort('HTTP_PORT', { host, port: HTTP_PORT }, isOurs),
    checkClock(Date.now(), running?.newestMs),
    checkOpenFiles(),
    ...(running?.findings ?? []),
  ]
  return tell(session, { running: running !== undefined }, findings)
}

function tell(session: Session, facts: object, findings: readonly Finding[]): 0 | 1 {
  const ok = findings.every(({ health }) => health !== 'fail')
  session.result({ ok, ...facts, findings }, () => findings.map((it) => text(it, session)).join('\n'))
  return ok ? 0 : 1
}

/** Those that are on: TLS with its certificates, WebSocket. */
async function checkOtherListeners({ settings }: Session, isOurs: boolean): Promise<Finding[]> {
  const { BIND_ADDRESS: host, MQTT_TLS_CERT_FILE: certificate, MQTT_TLS_CA_FILE: authorities } = settings
  const ports: [string, number | undefined][] = [
    ['MQTT_TLS_PORT', certificate === undefined ? undefined : settings.MQTT_TLS_PORT],
    ['MQTT_WS_PORT', settings.MQTT_WS_PORT],
    ['MQTT_WSS_PORT', settings.MQTT_WSS_PORT],
  ]
  const findings: Finding[] = []
  for (const [name, port] of ports) if (port !== undefined) findings.push(await checkPort(name, { host, port }, isOurs))
  if (certificate !== undefined) findings.push(checkCertificate('MQTT_TLS_CERT_FILE', certificate, Date.now()))
  if (authorities !== undefined) findings.push(checkCertificate('MQTT_TLS_CA_FILE', authorities, Date.now()))
  return findings
}

/** Undefined when no Sluice answers; a service that answers but lets us see nothing is a finding. */
async function askRunning(session: Session): Promise<Running | undefined> {
  const check = 'service'
  try {
    const { api } = session
    const readiness = await api.probe('/readyz')
    const status = await api.get<{ mqtt?: { port?: number }; unstored?: Unstored | null }>('/v1/status')
    const { items: devices, more } = await collectPages(MAX_COMPARED, async (cursor, limit) => {
      const page = await api.get<{ devices: Listed[]; next: string | null }>('/v1/devices', { limit, cursor })
      return { items: page.devices, next: page.next }
    })
    const seen = devices.flatMap(({ lastSeen }) => (lastSeen === null ? [] : [Date.parse(lastSeen)]))
    const newestMs = seen.length === 0 ? undefined : seen.reduce((a, b) => Math.max(a, b))
    const ready: Finding = { check, health: 'ok', detail: `${api.url.origin} is ready` }
    const fix = 'See the log of the service for the part named here.'
    const detail = `${api.url.origin} is not ready: ${JSON.stringify(readiness.body)}`
    const finding: Finding = readiness.status === 200 ? ready : { check, health: 'fail', detail, fix }
    const servers = failingServers(readiness.body).map((text): Finding => {
      return { check: 'server', health: 'fail', detail: text, fix: 'Every process is without it: see to this server.' }
    })
    const workers = checkWorkers(await listWorkers(session))
    const log = checkLog(status.unstored, await lossesOfLog(session))
    return {
      mqttPort: status.mqtt?.port,
      newestMs,
      findings: [finding, ...servers, workers, log, checkLookAlikes(devices, more)],
    }
  } catch (error) {
    const { code, message, kind } = toSluiceError(error)
    if (code === 'api_unreachable' || code === 'token_missing') return undefined
    return {
      mqttPort: undefined,
      newestMs: undefined,
      findings: [{ check, health: 'warn', detail: message, fix: kind.fix }],
    }
  }
}

function text({ check, health, detail, fix }: Finding, { color }: Session): string {
  const paint: Record<Health, (word: string) => string> = { ok: color.green, warn: color.yellow, fail: color.red }
  const line = `${paint[health](health.padEnd(4))}  ${check.padEnd(12)} ${printable(detail)}`
  return fix === undefined ? line : `${line}\n${' '.repeat(19)}${fix}`
}
