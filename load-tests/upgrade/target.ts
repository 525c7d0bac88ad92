/** Where the clients of the generator find a Sluice, standalone or a cluster, of any version. */
export interface Target {
  readonly url: string
  readonly token: string
  /** Of the brokers; the first one when a client does not care. */
  readonly mqttPorts: readonly number[]
}
