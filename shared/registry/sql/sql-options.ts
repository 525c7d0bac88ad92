import type { Kysely } from 'kysely'
import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import type { Room } from '../../storage/room.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

/** What a registry on SQL stands on, whatever the engine. */
export interface SqlRegistryOptions {
  readonly db: Kysely<RegistrySchema>
  readonly flavour: SqlFlavour
  readonly credentialKey: Buffer
  readonly logger: Logger
  readonly metrics: Metrics
  /** Nothing is made while there is none; what exists can be ended and removed. */
  readonly room?: Room
}
