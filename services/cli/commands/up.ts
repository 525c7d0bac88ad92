import { join, resolve } from 'node:path'
import { wholeNumber } from '../argument-parsers.ts'
import type { LocalClusterFacts } from '../local-cluster.ts'
import type { Commands, ExitCode, Session } from '../session.ts'

interface UpOptions {
  readonly lan?: boolean
  readonly cluster?: boolean
  readonly workers: number
  readonly brokers: number
}

// What runs servers is loaded by this command only: the other commands start faster without it.
export function addUp({ program, run }: Commands): void {
  program
    .command('up')
    .description('run Sluice on this machine until SIGTERM or Ctrl-C')
    .option('--lan', 'also listen on the local network; plain MQTT and HTTP can be read by others there')
    .option('--cluster', 'broker, workers and API as separate processes on Kafka, InfluxDB, MariaDB and Redis')
    .option('--brokers <count>', 'number of brokers in the cluster, all on the same ports', wholeNumber(1, 16), 1)
    .option('--workers <count>', 'number of ingest workers in the cluster', wholeNumber(1, 64), 2)
    .action(
      run((session, options: UpOptions) => (options.cluster === true ? upCluster : upStandalone)(session, options)),
    )
}

async function upStandalone(session: Session, options: UpOptions): Promise<ExitCode> {
  const { runStandalone } = await import('../../standalone/main.ts')
  const { banner, startReport } = await import('../../standalone/banner.ts')
  const code = await runStandalone({
    lan: options.lan === true,
    announce: (facts) =>
      session.result(startReport(facts), () => banner(facts, { showToken: session.host.outputIsTerminal })),
  })
  return code === 0 ? 0 : 1
}

async function upCluster(session: Session, options: UpOptions): Promise<ExitCode> {
  const { LocalCluster } = await import('../local-cluster.ts')
  const { runProcess } = await import('../../../shared/process/service-process.ts')
  const { makePrivateFolder } = await import('../../../shared/storage/folders.ts')
  const { createLogger } = await import('../../../shared/process/logger.ts')
  const { loadApiKey, loadCredentialKey } = await import('../../../shared/registry/credentials.ts')
  const code = await runProcess(async ({ releasers, stopping }) => {
    const logger = createLogger('info')
    const folder = makePrivateFolder(resolve(session.settings.DATA_DIR))
    loadApiKey(join(folder, 'admin-token'))
    loadCredentialKey(join(folder, 'credential-key'))
    const cluster = new LocalCluster({
      brokers: options.brokers,
      workers: options.workers,
      folder,
      env: options.lan === true ? { BIND_ADDRESS: '0.0.0.0' } : {},
      execPath: session.host.execPath,
      onLine: (line) => session.note(line),
      onExit: (name, reason) => logger.error({ name, reason }, 'a process of the cluster exited; restarting it'),
    })
    releasers.own('cluster', cluster, (it) => it.close())
    const facts = await cluster.ready(stopping)
    logger.info({ pid: session.host.pid, ...facts, folder }, 'ready')
    session.result({ ...facts, folder }, () => clusterText(facts, folder))
    return logger
  })
  return code === 0 ? 0 : 1
}

function clusterText({ mqtt, http, processes }: LocalClusterFacts, folder: string): string {
  const lines = processes.map(({ name, pid, operations }) => {
    return `  ${name.padEnd(18)} process ${pid}, http://127.0.0.1:${operations}/readyz`
  })
  return [
    '',
    `  Sluice runs as ${processes.length} processes`,
    '',
    `  MQTT    ${mqtt.host}:${mqtt.port}`,
    `  HTTP    http://${http.host}:${http.port}`,
    `  Token   ${join(folder, 'admin-token')}`,
    '',
    ...lines,
    '',
  ].join('\n')
}
