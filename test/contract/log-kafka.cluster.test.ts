import { describeTelemetryLog } from './log-contract.ts'
import { newPrefix, openOnKafka, useKafka } from './log-kafka-harness.ts'

const cluster = useKafka(1)

describeTelemetryLog('Kafka', async () => {
  const prefix = newPrefix()
  return { open: () => openOnKafka(cluster.kafka, { prefix }) }
})
