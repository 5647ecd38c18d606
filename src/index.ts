/**
 * Sallyport as a library: `import { createGateway } from 'sallyport'`.
 */
export { loadConfig } from './config/load.ts'
export type { GatewayConfig } from './contract/config.schema.ts'
export type { Decision } from './contract/decision.schema.ts'
export { createGateway, type Gateway, type GatewayOptions } from './gateway/gateway.ts'
export { createOperatorLog, type OperatorLog } from './telemetry/operator-log.ts'
