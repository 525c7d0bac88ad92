import { optionalText, secret } from '../shared/config.ts'
import { standaloneSettings } from './standalone.ts'

const { BIND_ADDRESS, MQTT_PORT, HTTP_PORT, DATA_DIR, DISK_RESERVE } = standaloneSettings
const { MQTT_TLS_PORT, MQTT_WS_PORT, MQTT_WSS_PORT, MQTT_TLS_CERT_FILE, MQTT_TLS_CA_FILE } = standaloneSettings

/** Settings of the commands: those of their own, and where a Sluice on this machine is found. */
export const cliSettings = {
  SLUICE_URL: optionalText('Address of the API that the commands use; http://127.0.0.1:HTTP_PORT when unset.'),
  SLUICE_TOKEN: secret('API key that the commands use; read from DATA_DIR/admin-token when unset.'),
  BIND_ADDRESS,
  MQTT_PORT,
  MQTT_TLS_PORT,
  MQTT_WS_PORT,
  MQTT_WSS_PORT,
  MQTT_TLS_CERT_FILE,
  MQTT_TLS_CA_FILE,
  HTTP_PORT,
  DATA_DIR,
  DISK_RESERVE,
} as const
