import { runIngestWorker } from '../../services/ingest-worker/main.ts'
import { groupFromEnd } from './group-from-end.ts'

/** Known-wrong: a worker whose group begins at the end of the log, as kafkajs' groups do by default. */
const brokers = (process.env['KAFKA_BROKERS'] ?? '').split(',')

process.exitCode = await runIngestWorker((ports) => ({
  ...ports,
  log: groupFromEnd(ports.log, { brokers, prefix: '' }),
}))
