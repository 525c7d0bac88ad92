import { brokerProcessSettings, kafkaOptions } from '../../config/cluster.ts'
import { runClusterProcess } from '../../shared/cluster-process.ts'
import { openKafkaLog } from '../../shared/log/kafka.ts'
import { portChecks } from '../../shared/readiness.ts'
import { receiveClockBehind } from '../../shared/receive-clock.ts'
import { parseCredentialKey } from '../../shared/registry/credentials.ts'
import { openMariadbRegistry } from '../../shared/registry/mariadb.ts'
import { createBroker } from './broker.ts'

process.exitCode = await runClusterProcess(brokerProcessSettings, 'broker', async (context) => {
  const { config, logger, metrics, releasers, stopping, watch } = context
  const shared = { logger, metrics, signal: stopping }
  const log = releasers.own('log', await openKafkaLog({ ...kafkaOptions(config, 'broker'), ...shared }), (it) =>
    it.close(),
  )
  const credentialKey = parseCredentialKey(config.CREDENTIAL_KEY, 'CREDENTIAL_KEY')
  const registryOptions = { url: config.MARIADB_URL, credentialKey, ...shared }
  const registry = releasers.own('registry', await openMariadbRegistry(registryOptions), (it) => it.close())
  const clock = await receiveClockBehind(log)
  const broker = await createBroker({ log, registry, clock, settings: config, logger, metrics })
  releasers.own('broker', broker, (it) => it.close())
  watch(...portChecks({ log, registry }), {
    name: 'broker',
    check: async () => ({ ok: !broker.status().overloaded }),
  })
  return { mqtt: broker.addresses.mqtt }
})
