import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'

/** A process that opens a registry, makes a device, prints its login and stays: `holder.ts FILE KEY_IN_HEX`. */
const [file = '', key = ''] = process.argv.slice(2)
const registry = await openSqliteRegistry({
  file,
  credentialKey: Buffer.from(key, 'hex'),
  logger: createLogger('error'),
  metrics: createMetrics({ defaults: false }),
})
const [login] = await registry.createDevices([{ tenant: 'acme', device: 'p1' }])
process.stdout.write(JSON.stringify(login))
