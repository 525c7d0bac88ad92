import type { Logger } from '../../process/logger.ts'
import { INGEST_GROUP, type GroupOwner } from '../port.ts'
import { decodeAssignment, featuresOf } from './assignment.ts'
import { KafkaClient } from './client.ts'
import type { ClientOptions } from './client-options.ts'

interface GroupOwnersOptions extends ClientOptions {
  /** As of the log, see `KafkaLogOptions`. */
  readonly prefix?: string
  readonly group?: string
  readonly logger: Logger
}

/**
 * Asks Kafka for the workers that live and the partitions of each: one that died is missing after its session of 8 s. Over
 * connections of its own, made by the first question. Errors of `list`: `log_unavailable`, `log_refused`, `closed`.
 */
export async function openGroupOwners(
  options: GroupOwnersOptions,
): Promise<{ list(): Promise<readonly GroupOwner[]>; close(): Promise<void> }> {
  const { prefix = '', group = prefix + INGEST_GROUP, logger } = options
  const client = new KafkaClient(options, [], logger)
  return {
    async list() {
      const { groups } = await client.atCoordinator(group, (broker) => broker.describeGroups({ groupIds: [group] }))
      return groups.flatMap(({ members }) =>
        members.map(({ memberId, clientHost, memberMetadata, memberAssignment }) => {
          const partitions = decodeAssignment(memberAssignment).toSorted((a, b) => a - b)
          const features = featuresOf(memberMetadata)
          return { id: memberId, host: clientHost.replace(/^\//, ''), partitions, features }
        }),
      )
    },
    close: () => client.close(),
  }
}
