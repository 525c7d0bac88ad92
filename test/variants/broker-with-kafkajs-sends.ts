import { runBroker } from '../../services/broker/main.ts'
import { withKafkajsSends, type SendKind } from '../../load-tests/reference/kafka-sends.ts'

/** Known-wrong: a broker that takes kafkajs' own producer at its word; `broker-with-kafkajs-sends.ts <kind>`. */
const kind = process.argv[2] as SendKind
const brokers = (process.env['KAFKA_BROKERS'] ?? '').split(',')

process.exitCode = await runBroker(async (log) => (await withKafkajsSends(log, { kind, brokers, prefix: '' })).log)
