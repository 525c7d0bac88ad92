import { brokerProcessSettings, kafkaOptions, mariadbOptions } from '../../config/cluster.ts'
import { runClusterProcess } from '../../shared/cluster-process.ts'
import { openKafkaLog } from '../../shared/log/kafka.ts'
import { portChecks } from '../../shared/readiness.ts'
import { receiveClockBehind } from '../../shared/receive-clock.ts'
import { openMariadbRegistry } from '../../shared/registry/mariadb.ts'
import { createBroker } from './broker.ts'

process.exitCode = await runClusterProcess(brokerProcessSettings, 'broker', async (context) => {
  const { config, logger, metrics, releasers, open, watch } = context
  const log = await open('log', openKafkaLog, kafkaOptions(config, 'broker'))
  const registry = await open('registry', openMariadbRegistry, mariadbOptions(config))
  const clock = await receiveClockBehind(log)
  const broker = await createBroker({ log, registry, clock, settings: config, logger, metrics })
  releasers.own('broker', broker, (it) => it.close())
  watch(...portChecks({ log, registry }), {
    name: 'broker',
    check: async () => ({ ok: !broker.status().overloaded }),
  })
  return { mqtt: broker.addresses.mqtt }
})
