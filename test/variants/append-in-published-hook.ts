import { createBroker } from '../../services/broker/broker.ts'
import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import { APPEND_AFTER_ACK } from './append-after-ack-broker.ts'

/** Known-wrong: telemetry is appended in the hook of aedes that runs behind the acknowledgement. */
process.exitCode = await runStandalone(
  { lan: false },
  { ...EMBEDDED, startBroker: (options) => createBroker(options, APPEND_AFTER_ACK) },
)
