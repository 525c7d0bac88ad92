import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiClient } from '../../shared/api-client.ts'
import { Cluster } from '../cluster/cluster.ts'
import { startAll } from '../servers/all.ts'
import { freePorts } from '../servers/server-process.ts'
import { residentBytes, writeCertificate, type StormService } from '../storms/storm-service.ts'

export type HostileService = Pick<
  StormService,
  'mqttPort' | 'tlsPort' | 'wsPort' | 'api' | 'token' | 'residentBytes' | 'stop'
>

/** Broker, worker and API as processes of their own, on real servers, with the listeners that one process has. */
export async function startClusterService(): Promise<HostileService> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-hostile-'))
  const { certificate, key } = await writeCertificate(folder)
  const [wsPort = 0] = await freePorts(1)
  const servers = await startAll(join(folder, 'servers'), { brokers: 1 })
  const cluster = new Cluster({
    workers: 1,
    folder: join(folder, 'services'),
    env: { ...servers.env, LOG_LEVEL: 'info' },
    brokerEnv: { MQTT_WS_PORT: String(wsPort), MQTT_TLS_CERT_FILE: certificate, MQTT_TLS_KEY_FILE: key },
  })
  await cluster.start()
  const members = [cluster.broker, cluster.api, ...cluster.workers]
  return {
    mqttPort: cluster.broker.ready.mqtt?.port ?? 0,
    tlsPort: cluster.broker.ready.tls?.port ?? 0,
    wsPort,
    api: new ApiClient({ url: cluster.url, token: cluster.token }),
    token: cluster.token,
    residentBytes: () => members.reduce((sum, { ready: { pid } }) => sum + residentBytes(pid), 0),
    async stop() {
      await cluster.close()
      await servers.stop()
      rmSync(folder, { recursive: true, force: true })
      return 0
    },
  }
}
