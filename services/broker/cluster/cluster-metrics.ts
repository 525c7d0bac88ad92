import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'

/** What the gauges of a node among others read. */
export interface ClusterFigures {
  readonly peers: () => number
  readonly sessions: () => number
  readonly clients: () => number
  readonly wills: () => number
  readonly inbound: () => number
}

export function exposeCluster(metrics: Metrics, figures: ClusterFigures): void {
  const gauges: [string, string, () => number][] = [
    ['sluice_broker_cluster_peers', 'Other broker nodes known to this node', figures.peers],
    ['sluice_broker_cluster_sessions', 'Sessions held by this node', figures.sessions],
    ['sluice_broker_cluster_clients', 'Clients of this node, as aedes counts', figures.clients],
    ['sluice_broker_cluster_wills', 'Wills being published here, or owed to Redis', figures.wills],
    ['sluice_broker_cluster_inbound', 'Messages from other nodes being delivered here', figures.inbound],
  ]
  for (const [name, help, read] of gauges) gaugeOf(metrics, name, help, read)
}
