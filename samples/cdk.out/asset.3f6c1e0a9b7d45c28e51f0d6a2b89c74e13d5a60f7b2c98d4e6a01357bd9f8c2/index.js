// Readings that the rule hands over, and batches of the stream.
exports.handler = async (event) => {
  const { TABLE_NAME } = process.env
  if (event.Records) console.log(`${event.Records.length} records of the stream`)
  else console.log(`a reading of ${event.device}, kept in ${TABLE_NAME}`)
}
