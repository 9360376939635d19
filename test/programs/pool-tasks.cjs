// A CommonJS module of tasks, one of them out of sight of whoever imports it.
module.exports = Object.assign((task) => task + 1, { ["hid" + "den"]: (task) => task + 2 });
